/**
 * Repacking of a weight [N, K] into a device layout: the identity on values. What a packed weight means is only
 * observable through `linear`, so a test packs on the device and compares `linear` with the unpacked reference.
 */
export function packLinear(weight: Float64Array /* [N, K] */): Float64Array /* [N, K] */ {
  return weight.slice();
}
