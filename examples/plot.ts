/** Pictures for the examples: charts and heatmaps as SVG files in examples/output/, drawn by ECharts without a browser. */
import { mkdirSync, writeFileSync } from "node:fs";
import * as echarts from "echarts";

export interface Axis {
  /** With the unit: "time (ms)". */
  readonly name: string;
  /** "log2" and "log10" are logarithmic with that base. Default "value". */
  readonly type?: "value" | "log2" | "log10" | "category";
}

export interface Chart {
  readonly title: string;
  readonly kind: "line" | "bar";
  readonly x: Axis;
  readonly y: Axis;
  /** Points by the name of their series. A series has one colour in all charts of a picture. */
  readonly series: Readonly<Record<string, readonly (readonly [x: number | string, y: number])[]>>;
}

export interface Heatmap {
  readonly title: string;
  readonly x: { readonly name: string; readonly labels: readonly string[] };
  readonly y: { readonly name: string; readonly labels: readonly string[] };
  /** [y][x] */
  readonly values: readonly (readonly number[])[];
  readonly unit: string;
  /** The value of the middle colour: smaller ones are lighter, larger ones darker. */
  readonly middle: number;
}

const [width, height] = [900, 500]; // pixels
const colors = ["#d55e00", "#0072b2", "#009e73", "#cc79a7"]; // Okabe and Ito: also for the colour-blind
const [ink, grey] = ["#222", "#666"];
const heading = { color: ink, fontSize: 20, fontWeight: "bold" } as const;
const subheading = { color: ink, fontSize: 15, fontWeight: "normal" } as const;

/** Draws charts side by side. @returns the file, seen from the folder of package.json */
export function drawCharts(file: string, title: string, charts: readonly Chart[]): string {
  const names = [...new Set(charts.flatMap(({ series }) => Object.keys(series)))];
  const slot = width / charts.length;
  return draw(file, {
    title: [
      { text: title, left: 24, top: 16, textStyle: heading },
      ...charts.map((chart, i) => ({
        text: chart.title,
        left: i * slot + 64,
        top: 92,
        textStyle: subheading,
      })),
    ],
    legend: { left: 18, top: 54, itemGap: 28, textStyle: { color: ink, fontSize: 14 }, data: names },
    grid: charts.map((_, i) => ({ left: i * slot + 72, width: slot - 104, top: 130, bottom: 64 })),
    xAxis: charts.map(({ x }, i) => ({ ...axis(x, 32), gridIndex: i, splitLine: { show: false } })),
    yAxis: charts.map(({ y }, i) => ({ ...axis(y, 46), gridIndex: i })),
    series: charts.flatMap(({ kind, series }, i) =>
      Object.entries(series).map(([name, points]) => ({
        ...{ name, type: kind, data: points.map((point) => [...point]), xAxisIndex: i, yAxisIndex: i },
        ...{
          color: colors[names.indexOf(name)],
          showSymbol: points.length < 20,
          symbolSize: 7,
          barMaxWidth: 56,
        },
      })),
    ),
  });
}

/** Draws a heatmap, row 0 on top, with the values in the cells. @returns as drawCharts */
export function drawHeatmap(file: string, { title, x, y, values, unit, middle }: Heatmap): string {
  const cells = values.flatMap((row, j) => row.map((value, i) => [i, j, value]));
  const side = (labels: readonly string[], name: string, gap: number, inverse: boolean) => ({
    ...{ ...axis({ name, type: "category" }, gap), data: [...labels], inverse, axisTick: { show: false } },
  });
  const furthest = Math.max(...values.flat().map((value) => Math.abs(value - middle)));
  const text = (value: number) => `${value.toFixed(value < 10 ? 1 : 0)}${unit}`;
  return draw(file, {
    title: { text: title, left: 24, top: 16, textStyle: heading },
    grid: { left: 72, right: 120, top: 72, bottom: 64 },
    xAxis: side(x.labels, x.name, 32, false),
    yAxis: side(y.labels, y.name, 46, true),
    visualMap: {
      ...{
        min: middle - furthest,
        max: middle + furthest,
        calculable: true,
        right: 24,
        top: "center",
        itemHeight: 240,
      },
      ...{
        inRange: { color: ["#f7fbff", "#9ecae1", "#08519c"] },
        formatter: (value: unknown) => text(Number(value)),
      },
    },
    series: {
      ...{ type: "heatmap", data: cells, itemStyle: { borderColor: "#fff", borderWidth: 2 } },
      label: {
        show: true,
        fontSize: 14,
        formatter: ({ value }: { value: unknown }) => text((value as number[])[2]!),
      },
    },
  });
}

function axis({ name, type = "value" }: Axis, nameGap: number) {
  const scale =
    type === "log2" || type === "log10"
      ? { type: "log" as const, logBase: type === "log2" ? 2 : 10 }
      : { type };
  return {
    ...{
      ...scale,
      name,
      nameGap,
      nameLocation: "middle" as const,
      nameTextStyle: { color: grey, fontSize: 14 },
    },
    ...{ axisLabel: { color: grey, fontSize: 13 }, axisLine: { show: true, lineStyle: { color: grey } } },
    splitLine: { lineStyle: { color: "#e5e5e5" } },
  };
}

function draw(file: string, option: echarts.EChartsOption): string {
  const picture = echarts.init(null, null, { renderer: "svg", ssr: true, width, height });
  picture.setOption({
    backgroundColor: "#fff",
    animation: false,
    textStyle: { fontFamily: "sans-serif" },
    ...option,
  });
  mkdirSync(new URL("output/", import.meta.url), { recursive: true });
  writeFileSync(new URL(`output/${file}`, import.meta.url), picture.renderToSVGString());
  picture.dispose();
  return `examples/output/${file}`;
}
