/**
 * `<ddc-img src="photo.ddc" alt="…">`. It has what `<img>` has: natural size, `loading="lazy"`, `width` and `height`, the
 * events `load` and `error`; and the event `preview` each time that a sharper picture is drawn while bytes still come.
 */
export class DdcImage extends HTMLElement {
  src: string;
  alt: string;
  loading: "lazy" | "eager";
  readonly currentSrc: string;
  readonly naturalWidth: number;
  readonly naturalHeight: number;
  readonly complete: boolean;
  width: number;
  height: number;
  decode(): Promise<void>;
}

declare global {
  interface HTMLElementTagNameMap {
    "ddc-img": DdcImage;
  }
}
