// Where a reader is on a page, tables on a phone, and printing. No module: a page on disk loads none.
{
  const root = document.documentElement;
  const add = (name, html = "", kind = "div") => {
    const element = Object.assign(document.createElement(kind), { id: name, innerHTML: html });
    return document.body.appendChild(element);
  };

  // The theme scrolls the list of chapters to the page that is read, unless it finds where the list
  // stood on the page before.
  sessionStorage.removeItem("sidebar-scroll-top");

  // How far the page is read, which section that is, and the way back to the top.
  const bar = add("reading-progress");
  bar.setAttribute("aria-hidden", true);
  const up = add("back-to-top", '<i class="fa-solid fa-arrow-up"></i> Top', "button");
  up.hidden = true;
  up.addEventListener("click", () => {
    scrollTo({ top: 0 });
    document.querySelector("#main-content")?.focus({ preventScroll: true });
  });
  const contents = [...document.querySelectorAll("#page-contents a")].map((link) => [
    link, document.getElementById(decodeURIComponent(link.hash.slice(1))),
  ]);
  let reached, before = 0;

  function look() {
    const room = root.scrollHeight - innerHeight;
    bar.style.transform = `scaleX(${room > 0 ? scrollY / room : 0})`;
    if (scrollY !== before) up.hidden = scrollY < 1.5 * innerHeight || scrollY > before; // for who reads on it covers text
    before = scrollY;
    const passed = contents.filter(([, section]) => section?.getBoundingClientRect().top < 120);
    const [link] = (room - scrollY < 2 ? contents : passed).at(-1) ?? [];
    if (link === reached) return;
    for (const [other] of contents) {
      other.classList.toggle("active", other === link);
      other.closest("li").classList.toggle("active", other.closest("li").contains(link ?? null));
      if (other === link) other.setAttribute("aria-current", "true");
      else other.removeAttribute("aria-current");
    }
    reached = link;
  }
  let waits = false;
  const later = () => {
    if (!waits) requestAnimationFrame(() => { waits = false; look(); });
    waits = true;
  };
  addEventListener("scroll", later, { passive: true });
  addEventListener("resize", later);
  look();

  // A drawing that moves holds a still, for readers who want less motion.
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const hold = () => {
    for (const image of document.querySelectorAll("img.drawing")) {
      image.src = image.src.split("#")[0] + (calm.matches ? "#still" : "");
    }
  };
  if (calm.matches) hold();
  calm.addEventListener("change", hold);

  // On a phone the cells of a table of prose stand below each other, each after its column's name.
  for (const table of document.querySelectorAll("table.prose")) {
    const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
    for (const row of table.tBodies[0].rows) {
      for (const cell of row.cells) cell.dataset.column = names[cell.cellIndex];
    }
  }

  // The keyboard reaches code and formulas that scroll, also where a fold has been opened or a screen turned.
  const boxes = new ResizeObserver((changed) => {
    for (const { target } of changed) target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
  });
  for (const box of document.querySelectorAll(".bd-article :is(pre, div.math)")) boxes.observe(box);

  // A link to a fold opens it, and the folds around it.
  const unfold = () => {
    const fold = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (fold?.tagName !== "DETAILS") return;
    for (let at = fold; at; at = at.parentElement.closest("details")) at.open = true;
    fold.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  unfold();

  // What answers a question is covered (book.css) until a reader asks for it, here or in the question's fold.
  const questions = [...document.querySelectorAll(".predict")];
  for (const answer of document.querySelectorAll(".covered")) {
    const button = Object.assign(document.createElement("button"), { className: "uncover", textContent: "Show what happened" });
    const show = () => answer.classList.add("shown");
    button.setAttribute("aria-expanded", false);
    button.addEventListener("click", () => {
      show();
      answer.tabIndex = -1; // the button is gone
      answer.focus();
    });
    answer.prepend(button);
    const isBefore = (question) => question.compareDocumentPosition(answer) & Node.DOCUMENT_POSITION_FOLLOWING;
    questions.findLast(isBefore).querySelector("details")?.addEventListener("toggle", show);
  }

  // The contents of the page give way to what is as wide as the page: the theme sees to what has this class.
  if (document.querySelector(".bd-sidebar-secondary")) {
    const isWide = (box) => box.scrollWidth > box.clientWidth;
    const boxes = document.querySelectorAll(".live-figure.lab, .pst-scrollable-table-container, .text_html");
    for (const box of boxes) {
      const table = box.querySelector("table.stored-results") ?? box;
      if (!box.closest(".callout, .chooser") && (box.matches(".lab") || isWide(table))) box.classList.add("full-width");
    }
  }

  // Paper is white.
  let theme;
  addEventListener("beforeprint", () => {
    theme = root.dataset.theme;
    root.dataset.theme = "light";
  });
  addEventListener("afterprint", () => { root.dataset.theme = theme; });
}
