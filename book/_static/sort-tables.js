// Tables of results: the name of a column is a button that sorts the rows by it, and then turns them.
// No module: a page on disk may load none.
{
  const number = (text) => (text === "inf" ? Infinity : Number(text));

  // Numbers by size, before words by the alphabet.
  function compare(a, b) {
    const x = number(a), y = number(b);
    if (Number.isNaN(x) && Number.isNaN(y)) return a.localeCompare(b, "en", { numeric: true });
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    return x === y ? 0 : x - y;
  }

  function sort(table, heading) {
    const falls = heading.getAttribute("aria-sort") === "ascending";
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", falls ? "descending" : "ascending");
    const text = (row) => row.cells[heading.cellIndex].textContent.trim();
    const rows = [...table.tBodies[0].rows].map((row) => [text(row), row]);
    rows.sort(([a], [b]) => {
      if (!a || !b) return !a - !b; // what is empty stays at the end
      return falls ? compare(b, a) : compare(a, b);
    });
    table.tBodies[0].append(...rows.map(([, row]) => row));
  }

  for (const table of document.querySelectorAll("table.stored-results")) {
    for (const heading of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent;
      button.addEventListener("click", () => sort(table, heading));
      heading.replaceChildren(button);
    }
  }
}
