// <ddc-img src="photo.ddc" alt="…">: behaves as <img> does.

import { pictures } from "./ddc.js";

// As far before it comes into view as Chromium loads a lazy <img>.
const LAZY_MARGIN = "1250px";

const STYLE = `
  :host { display: inline-block; vertical-align: baseline; }
  :host([hidden]) { display: none; }
  canvas { display: block; width: 100%; height: auto; object-fit: inherit; object-position: inherit; }
  :host([height]) canvas { height: 100%; }
  canvas:not([width]) { display: none; }
  .alt:empty { display: none; }
`;

export class DdcImage extends HTMLElement {
  static observedAttributes = ["src", "alt", "loading", "width", "height"];

  #canvas = document.createElement("canvas");
  #alt = document.createElement("span");
  #sizes = document.createElement("style");
  #internals = this.attachInternals();
  #observer = null;
  #load = null;
  #isLoaded = false;
  #size = [0, 0];

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    const style = document.createElement("style");
    style.textContent = STYLE;
    this.#alt.className = "alt";
    this.#canvas.setAttribute("part", "canvas");
    this.#canvas.removeAttribute("width");
    root.append(style, this.#sizes, this.#canvas, this.#alt);
    this.#internals.role = "img";
  }

  get src() { return this.hasAttribute("src") ? new URL(this.getAttribute("src"), document.baseURI).href : ""; } // prettier-ignore
  set src(value) { this.setAttribute("src", value); } // prettier-ignore
  get currentSrc() { return this.src; } // prettier-ignore
  get alt() { return this.getAttribute("alt") ?? ""; } // prettier-ignore
  set alt(value) { this.setAttribute("alt", value); } // prettier-ignore
  get loading() { return this.getAttribute("loading") === "lazy" ? "lazy" : "eager"; } // prettier-ignore
  set loading(value) { this.setAttribute("loading", value); } // prettier-ignore
  get naturalWidth() { return this.#size[0]; } // prettier-ignore
  get naturalHeight() { return this.#size[1]; } // prettier-ignore
  /** Whether nothing is left to load: the picture is there, or failed, or there is no src. */
  get complete() { return this.#load === null && this.#observer === null; } // prettier-ignore

  connectedCallback() {
    if (!this.#isLoaded && this.#load === null) this.#start();
  }

  disconnectedCallback() {
    this.#unwatch();
  }

  attributeChangedCallback(name) {
    if (name === "alt") this.#internals.ariaLabel = this.alt;
    if (name === "width" || name === "height") this.#fit();
    if (name === "src" || (name === "loading" && this.#observer)) {
      this.#load?.abort();
      this.#load = null;
      this.#isLoaded = false;
      if (this.isConnected) this.#start();
    }
  }

  #start() {
    this.#unwatch();
    this.#alt.textContent = "";
    if (!this.hasAttribute("src")) return;
    if (this.loading === "eager") {
      this.#show();
      return;
    }
    this.#observer = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        this.#unwatch();
        this.#show();
      },
      { rootMargin: LAZY_MARGIN },
    );
    this.#observer.observe(this);
  }

  #unwatch() {
    this.#observer?.disconnect();
    this.#observer = null;
  }

  async #show() {
    const load = (this.#load = new AbortController());
    const isCurrent = () => this.#load === load;
    try {
      const response = await fetch(this.src, { signal: load.signal });
      if (!response.ok) throw new Error(`${this.src}: ${response.status}`);
      for await (const { width, height, image, isWhole } of pictures(response.body)) {
        if (!isCurrent()) return;
        this.#size = [width, height];
        if (!image) this.#fit();
        else this.#draw(image);
        if (image && !isWhole) this.dispatchEvent(new Event("preview"));
      }
      this.#load = null;
      this.#isLoaded = true;
      this.dispatchEvent(new Event("load"));
    } catch (error) {
      if (!isCurrent()) return;
      this.#load = null;
      this.#size = [0, 0];
      this.#canvas.removeAttribute("width");
      this.#alt.textContent = this.alt;
      this.dispatchEvent(new ErrorEvent("error", { error, message: error.message }));
    }
  }

  #draw(image) {
    this.#canvas.width = image.width;
    this.#canvas.height = image.height;
    this.#canvas.getContext("2d", { colorSpace: image.colorSpace }).putImageData(image, 0, 0);
    this.#fit();
  }

  // The attributes width and height are sizes in pixels, as those of <img> are.
  #fit() {
    const [width, height] = this.#size;
    if (width && !this.#canvas.hasAttribute("width")) [this.#canvas.width, this.#canvas.height] = [width, height];
    const rules = ["width", "height"].map((side) => [side, Number.parseInt(this.getAttribute(side), 10)]);
    const sizes = rules.filter(([, value]) => value >= 0).map(([side, value]) => `${side}: ${value}px;`);
    // A rule of the page for the element is stronger than one in here.
    this.#sizes.textContent = `:host { ${sizes.join(" ")} }`;
  }
}

if (!customElements.get("ddc-img")) customElements.define("ddc-img", DdcImage);
