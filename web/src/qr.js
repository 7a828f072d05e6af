// SPDX-License-Identifier: MIT
// Reads QR codes where the browser cannot by itself: what the host's scan.js asks for.
import jsQR from "jsqr";

globalThis.earlidReadQr = ({ data, width, height }) => jsQR(data, width, height)?.data ?? "";
