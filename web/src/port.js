// SPDX-License-Identifier: MIT
// Port: a serial port opened without resetting the board, read line by line.
import { Decoder, encode } from "./wire.js";
import { tables } from "../../build/web-tables.mjs";

const BUFFER_BYTES = 65536;
const TAIL_CHARACTERS = 2000;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Asks the user for a port; null when he refuses, which is no error.
export async function choosePort(every) {
  const filters = tables.port.vendors.map((usbVendorId) => ({ usbVendorId }));
  try {
    return await navigator.serial.requestPort(every ? {} : { filters });
  } catch (error) {
    if (error.name === "NotFoundError") return null;
    throw error;
  }
}

// Sets the control lines where a port has any.
export const setLines = (port, lines) => port.setSignals(lines).catch(() => {});

// What a port says. `onFrame` gets (body, seq) of every good line, `onEnd` whether the port is lost when the reading ends.
export class Listener {
  #reader;
  #reading;
  #seq = 0;
  #closing = false;
  decoder = new Decoder();
  tail = ""; // the last characters, for what is no frame

  constructor(port, onFrame, onEnd = () => {}) {
    Object.assign(this, { port, onFrame, onEnd });
  }

  // Both control lines on: an ESP32 board is reset while RTS is on and DTR is off.
  async open() {
    await this.port.open({ baudRate: tables.port.baud, bufferSize: BUFFER_BYTES });
    await setLines(this.port, { dataTerminalReady: true, requestToSend: true });
    this.#reading = this.#read();
    this.#reading.then(() => this.onEnd(!this.#closing));
  }

  async #read() {
    while (this.port.readable && !this.#closing) {
      this.#reader = this.port.readable.getReader();
      try {
        for (;;) {
          const { value, done } = await this.#reader.read();
          if (done) break;
          this.tail = (this.tail + String.fromCharCode(...value.subarray(-TAIL_CHARACTERS))).slice(-TAIL_CHARACTERS);
          for (const { body, seq } of this.decoder.feed(value)) this.onFrame(body, seq);
        }
      } catch {
        // A parity, framing or overrun error: the port has a new stream. Where it is lost it has none.
      } finally {
        this.#reader.releaseLock();
      }
    }
  }

  // The one request that this page ever sends, as `earlid list` does.
  async hello(id) {
    if (!this.port.writable || this.port.writable.locked) return; // lost, or nobody takes what was sent before
    const writer = this.port.writable.getWriter();
    try {
      await writer.write(new TextEncoder().encode(`${encode(this.#seq++, { id, do: "hello" })}\r\n`));
    } catch {
      // lost: the reading ends too
    } finally {
      writer.releaseLock();
    }
  }

  // RTS first: DTR alone only pulls the boot pin, which a running chip ignores.
  async close() {
    this.#closing = true;
    await this.#reader?.cancel().catch(() => {});
    await this.#reading;
    if (this.port.readable) {
      await setLines(this.port, { requestToSend: false });
      await setLines(this.port, { dataTerminalReady: false });
    }
    await this.port.close().catch(() => {});
  }
}
