// Which part of a picture is seen, and how large: fitted, cropped to the change, or as the reader left it.

const LARGEST = 40; // pixels of the screen for one of the picture
const CROP_LARGEST = 8;
const MARGIN = 0.25; // of the size of the change, on each side
const LEAST = 48; // pixels of the picture that a crop shows at least

/** The camera. `place()` gives {left, top, scale}: where the picture's corner is in the pane, and pixels for one of its own. */
export function createCamera() {
  const camera = { mode: "crop", left: 0, top: 0, scale: 1 };
  let pane = [1, 1];
  let size = [1, 1];
  let focus = null;

  function fitScale() {
    return Math.min(pane[0] / size[0], pane[1] / size[1]) * 0.97;
  }

  function centre(x, y, scale) {
    camera.scale = scale;
    camera.left = pane[0] / 2 - x * scale;
    camera.top = pane[1] / 2 - y * scale;
  }

  function aim() {
    if (camera.mode === "free") return;
    if (camera.mode === "fit" || !focus) {
      centre(size[0] / 2, size[1] / 2, fitScale());
      return;
    }
    const [x, y, width, height] = focusPixels();
    const across = Math.max(width * (1 + 2 * MARGIN), LEAST);
    const down = Math.max(height * (1 + 2 * MARGIN), LEAST);
    centre(x + width / 2, y + height / 2, Math.max(fitScale(), Math.min(pane[0] / across, pane[1] / down, CROP_LARGEST)));
    camera.left = inside(camera.left, 0);
    camera.top = inside(camera.top, 1);
  }

  /** A corner of the picture moved so that no part of the pane is empty without need. */
  function inside(corner, axis) {
    const room = pane[axis] - size[axis] * camera.scale;
    return room >= 0 ? room / 2 : Math.min(0, Math.max(room, corner));
  }

  function focusPixels() {
    return [focus[0] * size[0], focus[1] * size[1], focus[2] * size[0], focus[3] * size[1]];
  }

  function isSeen() {
    const [x, y, width, height] = focusPixels();
    const middle = [camera.left + (x + width / 2) * camera.scale, camera.top + (y + height / 2) * camera.scale];
    return middle.every((value, axis) => value > 0 && value < pane[axis]);
  }

  return Object.assign(camera, {
    /** Look at another change: the mode stays, and in free mode the scale too. `focus` is relative, or null. */
    lookAt(newSize, newFocus, samePicture) {
      size = newSize;
      focus = newFocus;
      if (camera.mode !== "free") aim();
      else if (!(samePicture && (!focus || isSeen()))) {
        const [x, y, width, height] = focus ? focusPixels() : [0, 0, ...size];
        centre(x + width / 2, y + height / 2, camera.scale);
      }
    },
    resize(newPane) {
      const middle = [(pane[0] / 2 - camera.left) / camera.scale, (pane[1] / 2 - camera.top) / camera.scale];
      pane = newPane;
      if (camera.mode === "free") centre(...middle, camera.scale);
      else aim();
    },
    use(mode) {
      camera.mode = mode;
      aim();
    },
    /** Zoom by a factor about a point of the pane; its middle if none is given. */
    zoom(factor, x = pane[0] / 2, y = pane[1] / 2) {
      const scale = Math.min(LARGEST, Math.max(fitScale() / 4, camera.scale * factor));
      const ratio = scale / camera.scale;
      camera.left = x - (x - camera.left) * ratio;
      camera.top = y - (y - camera.top) * ratio;
      camera.scale = scale;
      camera.mode = "free";
    },
    pan(across, down) {
      camera.left += across;
      camera.top += down;
      camera.mode = "free";
    },
  });
}
