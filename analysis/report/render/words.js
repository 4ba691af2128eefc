// Words of a sentence in two columns: a click on one at the left draws lines to what it looks at.
(() => {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const element = (name, className, text) => {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text ?? "";
    return made;
  };

  for (const place of document.querySelectorAll("[data-words]")) {
    const { looks, row } = JSON.parse(place.dataset.words);
    const heads = looks.flatMap((look) => look.heads.map((head) => ({ look, head })));
    let shown = Math.max(0, heads.findIndex(({ head }) => head.first));
    let chosen = row;

    const choice = element("select");
    choice.setAttribute("aria-label", "What is shown");
    choice.append(...heads.map(({ head }, number) => new Option(head.name, number, number === shown, number === shown)));
    const left = element("div", "column"), right = element("div", "column");
    left.setAttribute("role", "group");
    left.setAttribute("aria-label", "Words that look");
    const lines = document.createElementNS(SVG, "svg");
    lines.setAttribute("aria-hidden", "true");
    lines.setAttribute("preserveAspectRatio", "none");
    const columns = element("div", "columns");
    columns.append(left, lines, right);
    const said = element("output", "said");
    place.append(choice, said, columns);

    function fill() {  // another head may have other words
      const { look } = heads[shown];
      const buttons = look.rows.map((word, number) => {
        const button = element("button", "", word);
        button.type = "button";
        button.addEventListener("click", () => {
          chosen = number;
          draw();
        });
        return button;
      });
      left.replaceChildren(...buttons);
      right.replaceChildren(...look.columns.map((word) => element("span", "", word)));
      const height = Math.max(look.rows.length, look.columns.length);
      lines.setAttribute("viewBox", `0 0 1 ${height}`);
      lines.style.height = `calc(${height} * var(--row))`;
      draw();
    }

    function draw() {
      const { look, head } = heads[shown], weights = head.weights[chosen];
      [...left.children].forEach((button, number) => button.setAttribute("aria-pressed", String(number === chosen)));
      [...right.children].forEach((word, number) => word.style.setProperty("--weight", weights[number]));
      lines.replaceChildren(...weights.map((weight, number) => {
        const line = document.createElementNS(SVG, "line");
        const ends = { x1: 0, y1: chosen + 0.5, x2: 1, y2: number + 0.5 };
        for (const [name, value] of Object.entries(ends)) line.setAttribute(name, value);
        line.style.strokeWidth = `${8 * weight}px`;
        return line;
      }));
      const strongest = weights.map((weight, number) => [weight, look.columns[number]]);
      strongest.sort((first, second) => second[0] - first[0]);
      const named = strongest.slice(0, 3).map(([weight, word]) => `${word} ${weight.toFixed(2)}`);
      said.textContent = `${look.rows[chosen]} looks at ${named.join(", ")}`;
    }

    choice.addEventListener("change", () => {
      const before = heads[shown].look;
      shown = Number(choice.value);
      if (heads[shown].look !== before) chosen = 0;
      fill();
    });
    fill();
  }
})();
