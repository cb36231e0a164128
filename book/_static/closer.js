// A closer look: figures open large, and links show what they lead to before they are followed.
// No module: a page on disk loads none.
{
  const article = document.querySelector(".bd-article");
  const make = (kind, settings, ...children) => {
    const element = Object.assign(document.createElement(kind), settings);
    element.append(...children);
    return element;
  };

  // Figures. A button in the corner for the keyboard; a click on the picture does the same.
  const shown = make("div", { className: "enlarged" });
  const close = make("button", { className: "close", textContent: "Close" });
  const sheet = make("dialog", { className: "closer", ariaLabel: "Enlarged figure" }, close, shown);
  sheet.addEventListener("click", ({ target }) => { if (!target.closest("figcaption, a")) sheet.close(); });

  function enlarge(figure) {
    if (!sheet.isConnected) article.append(sheet);
    const copies = [...figure.querySelectorAll("img, figcaption")].map((part) => part.cloneNode(true));
    for (const copy of copies) copy.removeAttribute("loading");
    for (const named of copies.flatMap((copy) => [copy, ...copy.querySelectorAll("[id]")])) named.removeAttribute("id");
    shown.replaceChildren(...copies);
    shown.style.setProperty("--ratio", copies[0].width / copies[0].height);
    sheet.showModal();
  }

  for (const figure of article?.querySelectorAll("figure:not(:has(.live-figure))") ?? []) {
    const picture = figure.querySelector("img");
    if (!picture || picture.closest("a")) continue;
    const number = figure.querySelector(".caption-number")?.textContent.trim().toLowerCase();
    const button = make("button", { className: "enlarge", textContent: "⤢", ariaLabel: `Enlarge ${number ?? "figure"}` });
    for (const part of [button, picture]) part.addEventListener("click", () => enlarge(figure));
    picture.parentElement.insertBefore(button, picture);
  }

  // Previews of what a link leads to. All texts are in one file, which the first of them loads.
  const card = make("div", { className: "preview", id: "preview", role: "tooltip", hidden: true });
  const root = new URL(document.documentElement.dataset.content_root, location.href).href;
  let loading;
  const texts = () => (loading ??= new Promise((done) => {
    const script = make("script", { src: `${root}_static/previews.js` });
    script.addEventListener("load", () => done(script.previews));
    document.head.append(script);
  }));

  let asked = null, timer;
  async function show(link) {
    const all = await texts(), [page, place] = link.href.slice(root.length).split("#");
    const other = link.pathname !== location.pathname;
    const text = all[`${page}#${decodeURIComponent(place ?? "")}`] ?? (other && all[page]);
    if (asked !== link || !text) return;
    link.title = ""; // the browser would show it as well
    card.innerHTML = text.replace('src="', `src="${root}`);
    if (!card.isConnected) article.append(card);
    card.hidden = false;
    const at = link.getClientRects()[0], box = card.getBoundingClientRect();
    const left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - box.width - 8));
    const below = at.bottom + box.height + 8 < innerHeight;
    card.style.left = `${left + scrollX}px`;
    card.style.top = `${scrollY + (below ? at.bottom + 4 : at.top - box.height - 4)}px`;
    link.setAttribute("aria-describedby", "preview");
  }

  function hide() {
    clearTimeout(timer);
    asked?.removeAttribute("aria-describedby");
    asked = null;
    card.hidden = true;
  }

  function ask(event, wait) {
    if (event.target.closest(".preview")) return clearTimeout(timer);
    const link = event.target.closest('.bd-article a.internal');
    if (link === asked) return clearTimeout(timer);
    if (!link) return;
    hide();
    asked = link;
    timer = setTimeout(show, wait, link);
  }
  const away = ({ target, relatedTarget: to }) => {
    if (!target.closest("a, .preview") || to?.closest?.(".preview") || (to && asked?.contains(to))) return;
    clearTimeout(timer);
    timer = setTimeout(hide, 200); // long enough to move into the preview
  };
  document.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse") ask(event, 250); });
  document.addEventListener("pointerout", away);
  document.addEventListener("focusin", (event) => { if (event.target.matches?.(":focus-visible")) ask(event, 0); });
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", ({ key }) => { if (key === "Escape") hide(); });
}
