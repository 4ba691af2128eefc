# ruff: noqa: RUF001
"""A few sentences in twelve languages, some of which leave no spaces between words; and those of the tasks in words."""

from functools import cache

import numpy as np

from data.batch import FIRST_TOKEN, PAD
from data.tasks import TASKS, generate

# Four sentences each; Thai has no 4-grams, as sacreBLEU cuts it at spaces.
LANGUAGES = {
    "de": ["Ein Mann fährt Fahrrad.", "Zwei Hunde spielen im Schnee.", "Das Mädchen lacht.", "Ja."],
    "fr": ["Un homme fait du vélo.", "Deux chiens jouent dans la neige.", "L'été, ça fond déjà.", "Où ?"],
    "tr": ["Bir adam bisiklete biniyor.", "İki köpek karda oynuyor.", "Kız gülüyor.", "Işık var mı?"],
    "vi": ["Một người đàn ông đi xe đạp.", "Hai con chó chơi trong tuyết.", "Cô bé đang cười.", "Ừ."],
    "ru": ["Мужчина едет на велосипеде.", "Две собаки играют в снегу.", "Девочка смеётся.", "Да."],
    "el": ["Ένας άντρας κάνει ποδήλατο.", "Δύο σκύλοι παίζουν στο χιόνι.", "Το κορίτσι γελάει.", "Ναι;"],
    "ar": ["رجل يركب دراجة هوائية.", "كلبان يلعبان في الثلج.", "الفتاة تضحك الآن.", "نعم؟"],
    "hi": ["एक आदमी साइकिल चला रहा है।", "दो कुत्ते बर्फ में खेल रहे हैं।", "लड़की हँस रही है।", "हाँ।"],
    "zh": ["一个男人在骑自行车。", "两只狗在雪地里玩。", "女孩在笑\uff01", "是。"],
    "ja": ["男の人が自転車に乗っている。", "犬が二匹雪の中で遊ぶ。", "女の子が笑っている。", "カタカナ。"],
    "ko": ["한 남자가 자전거를 타고 있다.", "개 두 마리가 눈밭에서 논다.", "소녀가 웃고 있다.", "네."],
    "th": ["ชายคนหนึ่งขี่จักรยาน", "สุนัขสองตัวเล่นหิมะ แมวนอน", "เด็กหญิงหัวเราะ", "ใช่"],
}

Pair = tuple[list[str], list[str]]


@cache  # what comes back is only read
def drawn(task: str, least: int, most: int, count: int = 300, seed: int = 0, split: str = "train") -> list[Pair]:
    """Sources and targets as words, of distances from `least` to `most`."""
    examples = generate(task, 0, least, most, count, seed, split)
    return list(zip(_words(task, examples.source), _words(task, examples.target), strict=True))


def _words(task: str, rows: np.ndarray) -> list[list[str]]:
    words = TASKS[task].words
    return [[words[token - FIRST_TOKEN] for token in row if token != PAD] for row in rows.tolist()]
