/** Opens the device that the options of a load ask for, and says which one "auto" took and why. */
import { existsSync } from "node:fs";
import { Device, type DeviceName } from "../device/device.js";
import type { ResolvedOptions } from "./engineOptions.js";
import { printLine } from "./terminal.js";

/**
 * The choice of "auto" goes to `onProgress` as phase "device"; without a listener, one line on stderr when that is a
 * terminal. That a machine without a GPU takes its CPU needs no line.
 *
 * @throws ArgumentTypeError, ArgumentRangeError, DeviceError
 */
export function openDevice({ device, threads, onProgress }: ResolvedOptions): Device {
  let name: DeviceName;
  if (device === "auto") {
    const choice = Device.choose();
    name = choice.name;
    const message = `device ${name}: ${choice.reason}`;
    if (onProgress) onProgress({ phase: "device", message, loaded: 0, total: 0 });
    else if (name !== "cpu" || hasNvidiaGpu()) printLine(message);
  } else {
    name = device;
  }
  return Device.open(name, threads === undefined ? {} : { threads });
}

/** Whether the driver of an NVIDIA GPU runs, also where the addon was built without CUDA; under WSL it shows as dxg. */
function hasNvidiaGpu(): boolean {
  return ["/dev/nvidiactl", "/dev/dxg"].some((file) => existsSync(file));
}
