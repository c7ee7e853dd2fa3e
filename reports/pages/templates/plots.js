/** A button for each implementation of the legend, which takes it out of every picture and back. */
function addToggles(legend) {
  for (const item of legend.querySelectorAll("[data-implementation]")) {
    const name = item.dataset.implementation;
    const button = element("button", "", { type: "button", "aria-pressed": "true" });
    button.append(...item.childNodes);
    item.append(button);
    button.addEventListener("click", () => {
      const off = button.getAttribute("aria-pressed") === "true";
      button.setAttribute("aria-pressed", !off);
      for (const part of document.querySelectorAll("[data-line]")) {
        if (part.dataset.line === name) part.classList.toggle("off", off);
      }
    });
  }
}

/** What a point tells, beside it: under the mouse, or while its picture has the focus and the arrows walk the points. */
class Tip {
  constructor() {
    this.box = document.body.appendChild(element("p", "", { class: "tip", role: "status" }));
    document.addEventListener("pointerover", ({ target }) => (target.closest?.(".point") ? this.show(target) : this.hide()));
    document.addEventListener("keydown", (event) => this.walk(event));
    for (const plot of document.querySelectorAll(".plot:has(.point)")) {
      plot.setAttribute("tabindex", "0");
      plot.addEventListener("focus", () => plot.matches(":focus-visible") && this.show(this.points(plot)[0]));
      plot.addEventListener("blur", () => this.hide());
    }
  }

  points(plot) {
    return [...plot.querySelectorAll(".point")].filter((point) => !point.closest(".off"));
  }

  show(point) {
    this.hide();
    if (!point) return;
    const title = point.querySelector("title");
    if (title) point.dataset.told = title.textContent;
    title?.remove();
    this.at = point;
    point.classList.add("at");
    this.box.textContent = point.dataset.told;
    const { left, bottom } = point.getBoundingClientRect();
    const room = document.documentElement.clientWidth - this.box.offsetWidth - 8;
    this.box.style.transform = `translate(${Math.max(0, Math.min(left, room)) + scrollX}px, ${bottom + scrollY + 4}px)`;
  }

  hide() {
    this.at?.classList.remove("at");
    this.at = undefined;
    this.box.textContent = "";
    this.box.style.transform = "none";
  }

  walk(event) {
    if (event.key === "Escape") return this.hide();
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const plot = document.activeElement;
    if (!step || !plot?.matches(".plot")) return undefined;
    event.preventDefault();
    const points = this.points(plot);
    return this.show(points[(points.indexOf(this.at) + step + points.length) % points.length]);
  }
}

function save(name, blob) {
  const address = URL.createObjectURL(blob);
  element("a", "", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

/** The figure's pictures as they are shown, side by side under the legend, in one SVG that needs nothing else. */
function whole(figure) {
  const [gap, head] = [16, 24];
  const plots = [...figure.querySelectorAll(".plot")];
  const boxes = plots.map((plot) => plot.viewBox.baseVal);
  const [width, height] = [Math.max(...boxes.map((box) => box.width)), Math.max(...boxes.map((box) => box.height))];
  const columns = Math.min(3, plots.length);
  const size = [columns * (width + gap) + gap, Math.ceil(plots.length / columns) * (height + gap) + gap + head];
  const keys = [...document.querySelectorAll(".legend [data-implementation]")].filter((item) =>
    plots.some((plot) => [...plot.querySelectorAll("[data-line]")].some((part) => part.dataset.line === item.dataset.implementation)),
  );
  const svg = (name, attributes, parts) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...parts);
    return made;
  };
  const placed = (node, x, y, width, height) => {
    const copy = node.cloneNode(true);
    for (const [key, value] of Object.entries({ x, y, width, height })) copy.setAttribute(key, value);
    return copy;
  };
  const legend = keys.flatMap((item, index) => {
    const x = gap + (index * (size[0] - gap)) / keys.length;
    return [placed(item.querySelector("svg"), x, 8, 24, 12), svg("text", { x: x + 30, y: 18 }, [item.textContent.trim()])];
  });
  const cells = plots.map((plot, index) =>
    placed(plot, gap + (index % columns) * (width + gap), head + gap + Math.floor(index / columns) * (height + gap), boxes[index].width, boxes[index].height),
  );
  const style = svg("style", {}, [document.querySelector("style").textContent]);
  const paper = svg("rect", { class: "paper", width: "100%", height: "100%" }, []);
  const attributes = { class: "plot", width: size[0], height: size[1], viewBox: `0 0 ${size[0]} ${size[1]}` };
  return new XMLSerializer().serializeToString(svg("svg", attributes, [style, paper, ...legend, ...cells]));
}

/** The figure at twice its size, in pixels. */
async function raster(figure) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(whole(figure))}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [2 * image.naturalWidth, 2 * image.naturalHeight];
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

const DOWNLOADS = {
  svg: async (figure) => new Blob([whole(figure)], { type: "image/svg+xml" }),
  png: raster,
  csv: async (figure) => new Blob([await unpack(figure.querySelector(".data").textContent)], { type: "text/csv" }),
};

for (const button of document.querySelectorAll("[data-download]")) {
  const { name, download } = button.dataset;
  button.parentElement.hidden = false;
  button.addEventListener("click", async () => {
    save(`${name}.${download}`, await DOWNLOADS[download](button.closest("figure")));
  });
}

document.querySelectorAll(".legend").forEach(addToggles);
if (document.querySelector(".point")) new Tip();
