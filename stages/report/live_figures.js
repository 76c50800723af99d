// The figures with sliders. Each has a function that takes the sliders' values and returns what the figure shows:
// words, and shapes of an SVG. They are drawn anew at each move of a slider, and with their defaults on paper. There,
// what is folded is open.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 640, HEIGHT = 220, LEFT = 48, BOTTOM = 190, TOP = 12; // units of the drawings, which scale

function shape(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const counted = (number) => number.toLocaleString("en-US");
const short = (number) => Number(number.toPrecision(4)).toString();

// Problem 1: what the backward pass costs, by the layers' widths.
function passes({ d, h, o }) {
  const forward = d * h + h * o, without = d * h + 2 * h * o, withInput = 2 * forward;
  const bars = [["forward", forward], ["backward", without], ["backward, with the input's gradient", withInput]];
  const drawn = bars.flatMap(([name, macs], row) => {
    const y = 20 + 62 * row;
    return [
      shape("text", { x: 0, y: y + 10 }, `${name}: ${counted(macs)} multiply-adds`),
      shape("rect", { x: 0, y: y + 18, width: Math.max((WIDTH * macs) / withInput, 1), height: 22, class: row ? "back" : "forward" }),
    ];
  });
  return { words: `The backward pass costs ${short(without / forward)} times the forward pass, and 2 times with the input's gradient.`, drawn };
}

// Problem 2: one row of the image, and the row of the output that a kernel makes of it.
function convolution({ size, kernel, stride, padding, dilation, channels, filters }) {
  const reach = dilation * (kernel - 1) + 1, padded = size + 2 * padding;
  if (reach > padded) return { words: `A kernel that reaches over ${reach} pixels does not fit ${padded}: there is no output.`, drawn: [] };
  const outputs = Math.floor((padded - reach) / stride) + 1;
  const cell = Math.min(WIDTH / padded, 40), drawn = [];
  const middle = Math.floor((outputs - 1) / 2);
  for (let i = 0; i < padded; i++) {
    const outside = i < padding || i >= padding + size;
    const tap = (i - middle * stride) % dilation === 0 && i >= middle * stride && i < middle * stride + reach;
    drawn.push(shape("rect", { x: i * cell + 1, y: 30, width: cell - 2, height: 34, class: `cell${outside ? " outside" : ""}${tap ? " tap" : ""}` }));
  }
  const start = ((reach - 1) / 2) * cell; // an output stands below the middle of what it sees
  for (let i = 0; i < outputs; i++) {
    const x = start + i * stride * cell;
    drawn.push(shape("rect", { x: x + 1, y: 130, width: cell - 2, height: 34, class: `cell${i === middle ? " tap" : ""}` }));
  }
  for (let k = 0; k < kernel; k++) {
    const from = (middle * stride + k * dilation + 0.5) * cell, to = start + (middle * stride + 0.5) * cell;
    drawn.push(shape("line", { x1: from, y1: 64, x2: to, y2: 130, class: "edge" }));
  }
  drawn.push(shape("text", { x: 0, y: 20 }, `a row of X: ${size} pixels${padding ? `, ${padding} zeros on each side` : ""}`));
  drawn.push(shape("text", { x: 0, y: 184 }, `a row of Z: ${outputs} ${outputs === 1 ? "value" : "values"}`));
  const macs = outputs ** 2 * filters * kernel ** 2 * channels, weights = kernel ** 2 * channels * filters + filters;
  return {
    words: `An image of ${size} x ${size} pixels gives ${outputs} x ${outputs} values in each of ${filters} channels: ` +
      `${counted(macs)} multiply-adds, ${counted(weights)} parameters.`,
    drawn,
  };
}

// Problem 3: a weight on a quadratic loss, with weight decay and heavy-ball momentum.
const STEPS = 40, LOWEST = 1e-6, HIGHEST = 1e6;
function decay({ alpha, lambda, beta, mu }) {
  const c = mu + 2 * lambda, bound = (2 * (1 + beta)) / c;
  let w = 1, velocity = 0;
  const sizes = [1];
  for (let step = 0; step < STEPS; step++) {
    velocity = beta * velocity + c * w;
    w -= alpha * velocity;
    sizes.push(Math.abs(w));
  }
  const x = (step) => LEFT + ((WIDTH - LEFT - 8) * step) / STEPS;
  const span = Math.log(HIGHEST / LOWEST);
  const y = (value) => BOTTOM - ((BOTTOM - TOP) * Math.log(Math.min(Math.max(value, LOWEST), HIGHEST) / LOWEST)) / span;
  const drawn = [1e-6, 1e-3, 1, 1e3, 1e6].flatMap((value) => [
    shape("line", { x1: LEFT, y1: y(value), x2: WIDTH - 8, y2: y(value), class: "grid" }),
    shape("text", { x: LEFT - 6, y: y(value) + 5, "text-anchor": "end" }, value === 1 ? "1" : `1e${Math.round(Math.log10(value))}`),
  ]);
  drawn.push(shape("polyline", { points: sizes.map((value, step) => `${x(step)},${y(value)}`).join(" "), class: "curve" }));
  drawn.push(shape("text", { x: WIDTH / 2, y: BOTTOM + 24, "text-anchor": "middle" }, `|w| over ${STEPS} steps, from 1e-6 to 1e6`));
  const share = alpha / bound;
  let ends = share < 1 ? "the weight goes to zero" : "the weight grows without end";
  if (Math.abs(share - 1) < 1e-9) ends = "the weight neither goes to zero nor grows without end";
  if (c === 0) return { words: "Without curvature and decay nothing moves the weight.", drawn };
  return {
    words: `α is ${short(share)} times the largest stable step size, ${short(bound)}: ${ends}. ` +
      (lambda > 0 ? `The factor of decay keeps its sign up to α = 1/(2λ) = ${short(1 / (2 * lambda))}.` : "Without decay no factor shrinks the weight."),
    drawn,
  };
}

const FIGURES = { passes, convolution, decay };

for (const figure of document.querySelectorAll(".live")) {
  const sliders = [...figure.querySelectorAll("input")];
  const svg = figure.querySelector("svg"), words = figure.querySelector(".words");
  function draw(valueOf) {
    const values = Object.fromEntries(sliders.map((slider) => [slider.name, Number(valueOf(slider))]));
    for (const slider of sliders) slider.nextElementSibling.textContent = valueOf(slider);
    const shown = FIGURES[figure.dataset.figure](values);
    words.textContent = shown.words;
    svg.replaceChildren(...shown.drawn);
  }
  const current = () => draw((slider) => slider.value);
  figure.addEventListener("input", current);
  window.addEventListener("beforeprint", () => draw((slider) => slider.defaultValue));
  window.addEventListener("afterprint", current);
  figure.hidden = false;
  current();
}

// Paper cannot be opened: what is folded is open while the page is printed.
let folded = [];
window.addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const details of folded) details.open = true;
});
window.addEventListener("afterprint", () => {
  for (const details of folded) details.open = false;
});
