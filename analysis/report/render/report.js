// Without this script the page shows everything at once; with it, lines can be hidden and maps leafed through.
(() => {
  "use strict";
  const hidden = new Set();
  const linesOf = (figure) => [...figure.querySelectorAll("[data-line]")];

  const order = JSON.parse(document.querySelector("main").dataset.order);
  // Of what is not in the list, the last: a class that was added, whose lines keep the order they are drawn in.
  const rank = (name) => (order.findIndex((known) => name.startsWith(known)) + order.length + 1) % (order.length + 1);

  function show() {
    for (const line of document.querySelectorAll("[data-line]")) {
      line.classList.toggle("off", hidden.has(line.dataset.line));
    }
    for (const button of document.querySelectorAll(".legend button")) {
      button.setAttribute("aria-pressed", String(!hidden.has(button.dataset.name)));
    }
  }

  function light(figure, name) {
    figure.classList.toggle("dimmed", name !== null);
    for (const line of linesOf(figure)) line.classList.toggle("lit", line.dataset.line === name);
  }

  function colour(figure, name) {
    const shape = linesOf(figure)
      .filter((line) => line.dataset.line === name)
      .flatMap((line) => [...line.querySelectorAll("path")])
      .find((path) => path.style.stroke && path.style.stroke !== "none");
    return shape ? shape.style.stroke : "currentColor";
  }

  function button(figure, name) {
    const made = document.createElement("button");
    made.type = "button";
    made.dataset.name = name;
    made.title = "show or hide in all figures";
    const swatch = document.createElement("i");
    swatch.style.borderTopColor = colour(figure, name);
    made.append(swatch, name);
    made.addEventListener("click", () => {
      if (!hidden.delete(name)) hidden.add(name);
      light(figure, null);
      show();
    });
    for (const [event, on] of [["mouseenter", true], ["focus", true], ["mouseleave", false], ["blur", false]]) {
      made.addEventListener(event, () => light(figure, on && !hidden.has(name) ? name : null));
    }
    return made;
  }

  for (const figure of document.querySelectorAll("figure")) {
    const names = [...new Set(linesOf(figure).map((line) => line.dataset.line))];
    if (names.length < 2) continue;
    names.sort((first, second) => rank(first) - rank(second));
    const legend = document.createElement("div");
    legend.className = "legend";
    legend.setAttribute("role", "group");
    legend.setAttribute("aria-label", "Architectures in this figure");
    legend.append(...names.map((name) => button(figure, name)));
    figure.prepend(legend);
  }
  show();

  const maps = [...document.querySelectorAll("figure[data-map]")];
  if (maps.length > 1) {
    const slider = document.createElement("label");
    slider.className = "slider";
    const range = document.createElement("input");
    Object.assign(range, { type: "range", min: "0", max: String(maps.length - 1), step: "1", value: "0" });
    const label = document.createElement("output");
    const turn = () => {
      maps.forEach((map, place) => map.classList.toggle("away", place !== Number(range.value)));
      label.textContent = maps[Number(range.value)].dataset.map;
      range.setAttribute("aria-valuetext", label.textContent);
    };
    range.addEventListener("input", turn);
    slider.append("Source", range, label);
    maps[0].before(slider);
    turn();
  }
})();
