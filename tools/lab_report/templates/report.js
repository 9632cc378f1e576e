"use strict";
(() => {
  const runs = JSON.parse(document.getElementById("runs").textContent);
  const dialog = document.getElementById("run");
  const part = (name) => document.getElementById("run-" + name);
  const cell = (number) => document.querySelector(`.cell[data-run="${number}"]`);
  let now = -1;

  const element = (name, text) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // Objects as lists of definitions, one in the other; all else as text.
  const shown = (value) => {
    if (Array.isArray(value) && value.every((one) => typeof one !== "object" || one === null)) {
      return element("span", value.length ? value.join(", ") : "none");
    }
    if (Array.isArray(value)) {
      const box = element("div");
      value.forEach((one) => box.append(shown(one)));
      return box;
    }
    if (typeof value === "object" && value !== null) {
      const list = element("dl");
      for (const [name, inner] of Object.entries(value)) {
        const definition = element("dd");
        definition.append(shown(inner));
        list.append(element("dt", name), definition);
      }
      return list.children.length ? list : element("span", "none");
    }
    if (typeof value === "string" && value.includes("\n")) return element("pre", value);
    if (typeof value === "boolean") return element("span", value ? "yes" : "no");
    return element("span", value === null ? "none" : String(value));
  };

  const open = (number) => {
    const run = runs[number];
    if (!run) return;
    cell(now)?.classList.remove("now");
    now = number;
    cell(now)?.classList.add("now");
    const tag = element("span", run.t);
    tag.className = "tag " + run.l;
    part("title").replaceChildren(tag);
    part("meaning").textContent = run.w;
    part("parameters").replaceChildren(...shown({ ...run.p, seed: run.s }).children);
    part("command").textContent = run.c;
    part("copy").textContent = "Copy";
    part("evidence").replaceChildren(shown(run.e));
    part("note").textContent = `${run.m}: took ${run.d} s, run by ${run.v}`;
    part("previous").disabled = !runs[number - 1];
    part("next").disabled = !runs[number + 1];
    history.replaceState(null, "", "#run-" + number);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-run]");
    if (button) open(Number(button.dataset.run));
    else if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    history.replaceState(null, "", location.pathname + location.search);
    const left = cell(now);
    left?.classList.remove("now");
    left?.focus();
  });
  part("previous").addEventListener("click", () => open(now - 1));
  part("next").addEventListener("click", () => open(now + 1));
  part("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(part("command").textContent);
      part("copy").textContent = "Copied";
    } catch {
      // A page from a file may not write there: what is to be copied is selected instead.
      const range = document.createRange();
      range.selectNodeContents(part("command"));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
    }
  });

  // Arrow keys go from cell to cell of a table, and from run to run where one is open.
  document.addEventListener("keydown", (event) => {
    if (dialog.open) {
      if (event.key === "ArrowLeft") open(now - 1);
      if (event.key === "ArrowRight") open(now + 1);
      return;
    }
    const here = event.target.closest?.("td");
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!here || !step) return;
    const rows = [...here.closest("table").rows].filter((row) => !row.hidden);
    let row = rows.indexOf(here.parentNode);
    let column = here.cellIndex;
    for (;;) {
      row += step[0];
      column += step[1];
      if (!rows[row] || column < 1 || column > here.parentNode.cells.length - 1) return;
      const button = rows[row].cells[column]?.querySelector(".cell");
      if (button) {
        event.preventDefault();
        button.focus();
        return;
      }
    }
  });

  for (const filters of document.querySelectorAll(".filters")) {
    const section = filters.closest("section");
    const buttons = [...filters.querySelectorAll("button")];
    const search = filters.querySelector("input");
    const apply = () => {
      const levels = buttons.filter((one) => one.ariaPressed === "true").map((one) => one.dataset.level);
      const text = search.value.trim().toLowerCase();
      for (const body of section.querySelectorAll("tbody")) {
        const group = body.querySelector(".group");
        let left = 0;
        for (const row of body.rows) {
          if (row === group) continue;
          const named = `${group?.textContent ?? ""} ${row.cells[0].textContent}`.toLowerCase();
          const cells = [...row.querySelectorAll(".cell")];
          cells.forEach((one) => one.classList.toggle("faded", levels.length > 0 && !levels.includes(one.dataset.level)));
          row.hidden = !named.includes(text) || cells.every((one) => one.classList.contains("faded"));
          left += row.hidden ? 0 : 1;
        }
        if (group) group.hidden = !left;
      }
    };
    buttons.forEach((one) => one.addEventListener("click", () => {
      one.ariaPressed = one.ariaPressed === "true" ? "false" : "true";
      apply();
    }));
    search.addEventListener("input", apply);
  }

  const asked = /^#run-(\d+)$/.exec(location.hash);
  if (asked) open(Number(asked[1]));
})();
