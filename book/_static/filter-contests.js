// The picture of all contests: which of them are shown. No module: a page on disk may load none.
for (const box of document.querySelectorAll(".contests")) {
  const filters = box.querySelector(".filters"), items = [...box.querySelectorAll("li")];
  const chosen = [...filters.querySelectorAll("select")], words = filters.querySelector("input");

  const choose = () => {
    for (const item of items) {
      const has = item.querySelector(".what").textContent.toLowerCase().includes(words.value.trim().toLowerCase());
      item.hidden = !has || chosen.some(({ name, value }) => value && item.dataset[name] !== value);
    }
    const shown = items.filter((item) => !item.hidden);
    const of = (sense) => shown.filter((item) => item.classList.contains(sense)).length;
    filters.querySelector("output").textContent =
      `${shown.length} of ${items.length}: the KAN better in ${of("better")}, worse in ${of("worse")}`;
  };

  filters.addEventListener("input", choose);
  filters.hidden = false;
  choose();
}
