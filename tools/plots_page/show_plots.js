// Show what DVC wrote after <plaintext>, which the browser takes as text up to the end of the page, whatever it is.
// Each Vega plot is a line `var spec = JSON;` between two others; JSON holds no line break, so data cannot end it.
const PLOT = /<div id = "([^"]*)">\s*<script type = "text\/javascript">\s*var spec = (.*);\n\s*vegaEmbed\('#[^\n]*\n\s*<\/script>\s*<\/div>/g;

function showVega(place, id, json) {
  const spec = JSON.parse(json);
  if (Object.keys(spec).length === 0) {
    return; // a file of numbers that is no table
  }
  const div = document.createElement("div");
  div.id = id;
  place.append(div);
  vegaEmbed(div, spec, { actions: { source: false, compiled: false, editor: false } });
}

// Everything else are images: a title, and for each revision its name and its image. Nothing more is taken.
function showImages(place, html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  for (const group of parsed.body.children) {
    const title = textOf(group.querySelector("p"));
    const row = document.createElement("div");
    row.className = "images";
    for (const image of group.querySelectorAll("img")) {
      const revision = textOf(image.parentElement.querySelector("p"));
      const figure = document.createElement("figure");
      const shown = document.createElement("img");
      shown.src = image.getAttribute("src");
      shown.alt = `${title}, ${revision}`;
      const caption = document.createElement("figcaption");
      caption.textContent = shown.alt;
      figure.append(shown, caption);
      row.append(figure);
    }
    if (row.children.length > 0) {
      place.append(row);
    }
  }
}

function textOf(element) {
  return element ? element.textContent.trim() : "";
}

document.addEventListener("DOMContentLoaded", () => {
  const text = document.querySelector("plaintext").textContent;
  const place = document.querySelector("main");
  let end = 0;
  for (const plot of text.matchAll(PLOT)) {
    showImages(place, text.slice(end, plot.index));
    showVega(place, plot[1], plot[2]);
    end = plot.index + plot[0].length;
  }
  showImages(place, text.slice(end));
});
