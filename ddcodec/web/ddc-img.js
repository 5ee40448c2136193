// <ddc-img src="photo.ddc" alt="…">: a picture on a page, as <img> has it.

import { pictures } from "./ddc.js";

// As far before it comes into view as Chromium loads a lazy <img>.
const LAZY_MARGIN = "1250px";
const LENGTH = /^\s*(\d+(?:\.\d+)?)(%?)/;

// A policy that forbids styles in the page does not forbid these.
const SHEET = new CSSStyleSheet();
SHEET.replaceSync(`
  :host { display: inline-block; vertical-align: baseline; min-width: 0; min-height: 0; }
  :host([hidden]) { display: none; }
  canvas { display: block; width: 100%; height: 100%; object-fit: inherit; object-position: inherit; }
  canvas[hidden], span:empty { display: none; }
`);

export class DdcImage extends HTMLElement {
  static observedAttributes = ["src", "alt", "loading", "width", "height"];

  #canvas = document.createElement("canvas");
  #alt = document.createElement("span");
  #sizes = new CSSStyleSheet();
  #internals = this.attachInternals();
  #observer = null;
  #load = null; // an AbortController while a file is loaded, or waited for
  #hasFailed = false;
  #natural = [0, 0];

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [SHEET, this.#sizes];
    this.#canvas.part = "canvas";
    this.#canvas.hidden = true;
    root.append(this.#canvas, this.#alt);
    this.#name();
  }

  // prettier-ignore
  get src() {
    const text = this.getAttribute("src") ?? "";
    return text && URL.canParse(text, document.baseURI) ? new URL(text, document.baseURI).href : text;
  }
  set src(value) { this.setAttribute("src", value); } // prettier-ignore
  get currentSrc() { return this.src; } // prettier-ignore
  get alt() { return this.getAttribute("alt") ?? ""; } // prettier-ignore
  set alt(value) { this.setAttribute("alt", value); } // prettier-ignore
  get loading() { return this.getAttribute("loading") === "lazy" ? "lazy" : "eager"; } // prettier-ignore
  set loading(value) { this.setAttribute("loading", value); } // prettier-ignore
  get width() { return this.offsetWidth || this.#natural[0]; } // prettier-ignore
  set width(value) { this.setAttribute("width", value); } // prettier-ignore
  get height() { return this.offsetHeight || this.#natural[1]; } // prettier-ignore
  set height(value) { this.setAttribute("height", value); } // prettier-ignore
  get naturalWidth() { return this.#natural[0]; } // prettier-ignore
  get naturalHeight() { return this.#natural[1]; } // prettier-ignore
  /** Whether nothing is left to load: the picture is there, or failed, or there is no src. */
  get complete() { return this.#load === null; } // prettier-ignore

  /** Resolves when the picture is there. */
  async decode() {
    if (!this.complete)
      await new Promise((resolve) => {
        for (const name of ["load", "error"]) this.addEventListener(name, resolve, { once: true });
      });
    if (this.#hasFailed || !this.#natural[0]) throw new DOMException("The picture cannot be decoded.", "EncodingError");
  }

  connectedCallback() {
    this.#watch();
  }

  disconnectedCallback() {
    this.#observer?.disconnect();
  }

  attributeChangedCallback(name) {
    if (name === "alt") this.#name();
    else if (name === "src") this.#begin();
    else if (name === "loading") this.#watch();
    else this.#fit();
  }

  #name() {
    this.#internals.role = this.hasAttribute("alt") && !this.alt ? "presentation" : "img";
    this.#internals.ariaLabel = this.alt;
    this.#alt.textContent = this.#hasFailed ? this.alt : "";
  }

  // What the last src made stays until the next one has something to show.
  #begin() {
    this.#load?.abort();
    this.#load = null;
    this.#hasFailed = false;
    this.#name();
    if (!this.getAttribute("src")) {
      this.#clear();
      return;
    }
    const load = (this.#load = new AbortController());
    // All attributes that a script sets at once are there then.
    queueMicrotask(() => {
      if (this.#load === load) this.#watch();
    });
  }

  // Load now, or when the element comes near to what is seen.
  #watch() {
    this.#observer?.disconnect();
    this.#observer = null;
    if (!this.#load || this.#load.isStarted) return;
    if (this.loading === "eager") this.#show(this.#load);
    else if (this.isConnected) {
      const seen = (entries) => entries.some((entry) => entry.isIntersecting) && this.#load && this.#show(this.#load);
      this.#observer = new IntersectionObserver(seen, { rootMargin: LAZY_MARGIN });
      this.#observer.observe(this);
    }
  }

  async #show(load) {
    this.#observer?.disconnect();
    load.isStarted = true;
    let hasPicture = false;
    const isCurrent = () => this.#load === load;
    try {
      const response = await fetch(this.src, { signal: load.signal });
      if (!response.ok) throw new Error(`${this.src}: ${response.status}`);
      for await (const { width, height, image, isWhole } of pictures(response.body)) {
        if (!isCurrent()) return;
        if (!image) {
          this.#natural = [width, height];
          // Its room is there at once; the last picture stays until there is another.
          if (this.#canvas.hidden) [this.#canvas.width, this.#canvas.height] = this.#natural;
          this.#canvas.hidden = false;
          this.#fit();
          continue;
        }
        hasPicture = true;
        this.#draw(image);
        if (!isWhole) this.dispatchEvent(new Event("preview"));
      }
      if (!isCurrent()) return;
      this.#load = null;
      this.dispatchEvent(new Event("load"));
    } catch (error) {
      if (!isCurrent()) return;
      this.#load = null;
      this.#hasFailed = true;
      // Of a file that breaks off, what came of it stays.
      if (!hasPicture) this.#clear();
      this.#name();
      this.dispatchEvent(new ErrorEvent("error", { error, message: error.message }));
    }
  }

  #clear() {
    this.#natural = [0, 0];
    this.#canvas.hidden = true;
    this.#fit();
  }

  #draw(image) {
    this.#canvas.width = image.width;
    this.#canvas.height = image.height;
    this.#canvas.getContext("2d", { colorSpace: image.colorSpace }).putImageData(image, 0, 0);
  }

  // The attributes width and height are sizes as those of <img> are, and give the room before the picture is there. A
  // rule of the page for the element is stronger than one in here.
  #fit() {
    const given = ["width", "height"].map((side) => LENGTH.exec(this.getAttribute(side) ?? ""));
    const rules = given.map((found, k) => (found ? `${["width", "height"][k]}: ${found[1]}${found[2] || "px"};` : ""));
    const isRoom = given.every((found) => found && !found[2] && Number(found[1]));
    const [width, height] = this.#natural[0] ? this.#natural : isRoom ? given.map((found) => Number(found[1])) : [0, 0];
    if (width) rules.push(`aspect-ratio: ${width} / ${height};`);
    this.#sizes.replaceSync(`:host { ${rules.join(" ")} }`);
  }
}

if (!customElements.get("ddc-img")) customElements.define("ddc-img", DdcImage);
