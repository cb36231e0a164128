"""Draws the stills of the built first page's cover: python book/_tools/still_cover.py

Writes book/_static/cover-start.svg, which stands at its place until it lives, and cover.svg, its
end, where there are no scripts; both also for a phone. Needs `make book` before, and Chromium.
"""

from pathlib import Path

from playwright.sync_api import sync_playwright

from programs import find

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "book" / "_static"
STILLS = {"cover": (1366, 900), "cover-phone": (390, 844)}
# The drawings and their titles, with the rules that apply to them, as one drawing.
DRAWING = """() => {
  const root = document.querySelector(".kan-lab"), cover = root.querySelector(".cover");
  const frame = cover.getBoundingClientRect(), written = new XMLSerializer();
  const place = node => {
    const { x, y, width, height } = node.getBoundingClientRect();
    const box = { x: x - frame.x, y: y - frame.y, width, height };
    return Object.fromEntries(Object.entries(box).map(([key, value]) => [key, Math.round(value)]));
  };
  const drawn = [root, ...root.querySelectorAll("svg, svg *")];
  const rules = [...document.querySelectorAll("style")].flatMap(({ sheet }) => [...sheet.cssRules])
    .filter(rule => rule.selectorText?.includes(".kan-") &&
      drawn.some(node => node.matches(rule.selectorText)));
  const titles = [...cover.querySelectorAll(".title > *")].map(node => {
    const { x, y, width } = place(node), { fontSize, fontWeight, color } = getComputedStyle(node);
    const style = `fill:${color};font-size:${fontSize};font-weight:${fontWeight}`;
    return `<text x="${x + width / 2}" y="${y + Math.round(1.1 * parseFloat(fontSize))}"
      text-anchor="middle" style="${style}">${node.textContent}</text>`;
  });
  const svgs = [...cover.querySelectorAll("svg")], last = place(svgs.at(-1));
  const drawings = svgs.map(svg => {
    const copy = svg.cloneNode(true), box = place(svg);
    for (const node of [copy, ...copy.querySelectorAll("*")])
      for (const name of ["role", "aria-label", "tabindex"]) node.removeAttribute(name);
    for (const key in box) copy.setAttribute(key, box[key]);
    return written.serializeToString(copy);
  });
  const width = Math.round(frame.width), height = last.y + last.height;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"
viewBox="0 0 ${width} ${height}"><title>${root.querySelector("[role=status]").textContent}</title>
<style>${rules.map(rule => rule.cssText).join("\\n")}</style>
<g class="${root.className}" data-size="cover"><g class="cover">
${[...titles, ...drawings].join("\\n")}</g></g></svg>\\n`;
}"""

with sync_playwright() as p:
    browser = p.chromium.launch(executable_path=find("chromium"), args=["--no-sandbox"])
    for name, (width, height) in STILLS.items():
        # Where less motion is wanted, the cover shows its end at once.
        for moment, motion in (("-start", "no-preference"), ("", "reduce")):
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme="light",
                reduced_motion=motion,
            )
            page.goto((ROOT / "_build/html/book/intro.html").as_uri())
            if moment:
                page.locator(".kan-lab .fit path[d]").first.wait_for(state="attached")
            else:
                page.locator(".kan-lab [role=status]", has_text="Test error").wait_for()
            target = STATIC / f"{name}{moment}.svg"
            target.write_text(page.evaluate(DRAWING), encoding="utf-8")
            print(target.relative_to(ROOT), target.stat().st_size // 1000, "kB")
    browser.close()
