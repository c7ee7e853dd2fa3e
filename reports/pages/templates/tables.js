"use strict";

/** The text that was deflated and written in base64. */
async function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
}

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const SIGNS = {
  "=": (a, b) => a === b,
  "<": (a, b) => a < b,
  ">": (a, b) => a > b,
  "<=": (a, b) => a <= b,
  ">=": (a, b) => a >= b,
};

/** Whether a word fits a filter's term, and in which column, if the term names one. */
function reading(term, columns) {
  const [, name, sign, value] = /^(.+?)(<=|>=|=|<|>)(.+)$/.exec(term) ?? [];
  const named = columns.filter((column) => column.name.toLowerCase() === name);
  if (!named.length) return { among: columns, fits: (word) => word.toLowerCase().includes(term) };
  const number = Number(value);
  const fits = Number.isNaN(number)
    ? (word) => sign === "=" && word.toLowerCase() === value
    : (word) => SIGNS[sign](Number(word), number);
  return { among: named, fits };
}

/** Which rows fit every term: each needs one column whose word fits. */
function matching(rows, terms, columns) {
  return terms.reduce((left, term) => {
    const { among, fits } = reading(term, columns);
    const hits = among.map(({ codes, words }) => ({ codes, hit: words.map(fits) }));
    return left.filter((row) => hits.some(({ codes, hit }) => hit[codes[row]]));
  }, rows);
}

/** The rows by a column, up (1) or down (-1), those without a value last. */
function sorted(rows, { codes }, direction) {
  const keys = codes.map((code) => (code < 0 ? Infinity : direction * code));
  return rows.slice().sort((a, b) => keys[a] - keys[b] || a - b);
}

/** The marks of the implementations by name, from the page's legend. */
const KEYS = new Map(
  [...document.querySelectorAll("[data-implementation]")].map((item) => [item.dataset.implementation, item.querySelector("svg")]),
);

/** A table of many rows, of which a page is shown. */
class Browser {
  static CHOICES = 12;

  constructor(root, { rows, columns, constants }) {
    this.root = root;
    this.columns = columns.filter((column) => column.shown);
    this.rest = columns.filter((column) => !column.shown);
    this.all = Array.from({ length: rows }, (_, row) => row);
    const same = Object.entries(constants).map(([name, word]) => ({ name, words: [word], codes: this.all.map(() => 0) }));
    this.searched = [...columns, ...same];
    this.choosable = columns;
    this.pageRows = Number(root.dataset.pageRows);
    this.heads = [...root.querySelectorAll("th")];
    this.filter = root.querySelector("input");
    this.choices = [];
    this.by = { column: -1, direction: 1 };
    this.addChoices();
    this.heads.forEach((head, index) => this.addSorter(head, index));
    if (this.rest.length) this.heads[0].parentElement.append(element("th", "more", { scope: "col" }));
    this.filter.addEventListener("input", () => {
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => this.select(), 150);
    });
    this.button("clear").addEventListener("click", () => this.clear());
    this.button("back").addEventListener("click", () => this.turn(-1));
    this.button("on").addEventListener("click", () => this.turn(1));
    for (const part of root.querySelectorAll("[hidden]")) part.hidden = false;
    root.querySelector(".beyond").remove();
    this.select();
  }

  button(act) {
    return this.root.querySelector(`[data-act="${act}"]`);
  }

  /** A list to choose from for each column of few words. */
  addChoices() {
    for (const column of this.choosable) {
      if (column.numeric || column.words.length < 2 || column.words.length > Browser.CHOICES) continue;
      const label = element("label", column.name);
      const list = label.appendChild(document.createElement("select"));
      list.append(element("option", "all", { value: "" }));
      column.words.forEach((word, code) => list.append(element("option", word, { value: String(code) })));
      list.addEventListener("change", () => this.select());
      this.button("clear").before(label);
      this.choices.push({ list, column });
    }
  }

  addSorter(head, index) {
    const button = element("button", head.textContent, { type: "button" });
    button.addEventListener("click", () => this.sort(index));
    head.replaceChildren(button);
  }

  /** Up at the first press, down at the second, back to the run's order at the third. */
  sort(column) {
    if (this.by.column !== column) this.by = { column, direction: 1 };
    else if (this.by.direction === 1) this.by = { column, direction: -1 };
    else this.by = { column: -1, direction: 1 };
    this.heads.forEach((head, index) => {
      if (index !== this.by.column) head.removeAttribute("aria-sort");
      else head.setAttribute("aria-sort", this.by.direction === 1 ? "ascending" : "descending");
    });
    this.select();
  }

  clear() {
    this.filter.value = "";
    for (const { list } of this.choices) list.value = "";
    this.select();
    this.filter.focus();
  }

  select() {
    const terms = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = this.choices.filter(({ list }) => list.value !== "");
    const found = matching(this.all, terms, this.searched).filter((row) =>
      chosen.every(({ list, column }) => column.codes[row] === Number(list.value)),
    );
    const column = this.columns[this.by.column];
    this.found = column ? sorted(found, column, this.by.direction) : found;
    this.start = 0;
    this.show();
  }

  turn(pages) {
    const start = this.start + pages * this.pageRows;
    if (start < 0 || start >= this.found.length) return;
    this.start = start;
    this.show();
  }

  show() {
    const shown = this.found.slice(this.start, this.start + this.pageRows);
    this.root.querySelector("tbody").replaceChildren(...shown.map((row) => this.line(row)));
    const [total, count] = [this.all.length, this.found.length];
    const span = `${this.start + 1} to ${this.start + shown.length}`;
    const of = count === total ? `${total} rows` : `${count} rows that fit, of ${total}`;
    this.root.querySelector("[role=status]").textContent = count ? `Rows ${span} of ${of}` : `No row of ${total} fits`;
    // Not `disabled`, which would take the focus away from the button that was just pressed.
    this.button("back").setAttribute("aria-disabled", this.start === 0);
    this.button("on").setAttribute("aria-disabled", this.start + this.pageRows >= count);
  }

  line(row) {
    const line = document.createElement("tr");
    for (const { name, numeric, words, codes } of this.columns) {
      const text = words[codes[row]] ?? "–";
      const cell = line.appendChild(element("td", text, { "data-title": name }));
      if (name === "profile" && codes[row] >= 0) cell.replaceChildren(element("a", text, { href: encodeURI(text) }));
      else if (numeric) cell.className = "number";
      else if (text.length > 30) cell.className = "long";
      if (KEYS.has(text)) cell.prepend(KEYS.get(text).cloneNode(true));
    }
    if (this.rest.length) line.append(this.opener(line, row));
    return line;
  }

  /** A cell whose button shows the row's other columns below it. */
  opener(line, row) {
    const button = element("button", "all", { type: "button", "aria-expanded": "false", "aria-label": "All columns" });
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") === "false";
      button.setAttribute("aria-expanded", open);
      if (!open) return line.nextElementSibling.remove();
      const cell = element("td", "", { colspan: line.cells.length });
      for (const { name, words, codes } of this.rest.filter(({ codes }) => codes[row] >= 0)) {
        cell.append(element("b", name), ` ${words[codes[row]]} `);
      }
      const below = element("tr", "", { class: "rest" });
      below.append(cell);
      return line.after(below);
    });
    const cell = element("td", "");
    cell.append(button);
    return cell;
  }
}

for (const root of document.querySelectorAll(".browser")) {
  unpack(root.querySelector(".data").textContent).then((text) => new Browser(root, JSON.parse(text)));
}
