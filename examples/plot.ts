/**
 * Pictures and tables for the examples: charts and heatmaps as SVG files in examples/output/, drawn by ECharts without a
 * browser.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import * as echarts from "echarts";

export interface Chart {
  readonly kind: "line" | "bar";
  /** What the axes show, with the unit. */
  readonly x: string;
  readonly y: string;
  /** Both axes logarithmic. Default false. */
  readonly log?: boolean;
  /** Points by the name of their series. A series has one colour in all charts of a picture. */
  readonly series: Readonly<Record<string, readonly (readonly [x: number | string, y: number])[]>>;
}

export interface Heatmap {
  /** What the axes show, and the names of the columns and rows. */
  readonly x: { readonly name: string; readonly labels: readonly string[] };
  readonly y: { readonly name: string; readonly labels: readonly string[] };
  /** [y][x] */
  readonly values: readonly (readonly number[])[];
  readonly unit: string;
  /** Of the values, behind the point. */
  readonly digits: number;
  /** The values of the lightest and of the darkest cell. */
  readonly range: readonly [low: number, high: number];
}

const [width, height] = [900, 500]; // pixels
const colors = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00"]; // Okabe and Ito: the colour-blind can tell them apart
const [ink, grey, light] = ["#222", "#666", "#e5e5e5"];
const textStyle = { color: ink, fontSize: 14 };
const heading = { ...textStyle, fontSize: 20, fontWeight: "bold" } as const;

/** Draws charts side by side, with one legend. @returns the file, seen from the folder of package.json */
export function drawCharts(file: string, title: string, charts: readonly Chart[]): string {
  const names = [...new Set(charts.flatMap(({ series }) => Object.keys(series)))];
  const slot = width / charts.length;
  const titles = charts.map(({ y }, i) => ({ text: y, left: i * slot + 18, top: 92, textStyle }));
  return draw(file, {
    title: [{ text: title, left: 18, top: 16, textStyle: heading }, ...titles],
    legend: { left: 18, top: 54, itemGap: 40, textStyle, data: names },
    grid: charts.map((_, i) => ({ left: i * slot + 70, width: slot - 110, top: 126, bottom: 64 })),
    xAxis: charts.map(({ x, kind, log }, gridIndex) => ({
      ...axis(x, kind === "bar" ? "category" : log ? "log" : "value"),
      gridIndex,
      logBase: 2,
      splitLine: { show: false },
    })),
    yAxis: charts.map(({ log }, gridIndex) => ({ ...axis("", log ? "log" : "value"), gridIndex })),
    series: charts.flatMap(({ kind, series }, i) =>
      Object.entries(series).map(([name, points]) => ({
        name,
        type: kind,
        data: points.map((point) => [...point]),
        color: colors[names.indexOf(name)]!,
        showSymbol: points.length < 20,
        symbolSize: 7,
        barMaxWidth: 60,
        xAxisIndex: i,
        yAxisIndex: i,
      })),
    ),
  });
}

/** Draws a heatmap, row 0 on top, with the values in the cells. @returns as drawCharts */
export function drawHeatmap(file: string, title: string, heatmap: Heatmap): string {
  const { x, y, values, unit, digits, range } = heatmap;
  const write = (value: number) => `${value.toFixed(digits).replace(/^-(0\.0*)$/, "$1")}${unit}`; // no -0.00
  return draw(file, {
    title: { text: title, left: 18, top: 16, textStyle: heading },
    grid: { left: 76, right: 116, top: 72, bottom: 64 },
    xAxis: { ...axis(x.name, "category"), data: [...x.labels] },
    yAxis: { ...axis(y.name, "category"), data: [...y.labels], inverse: true },
    visualMap: {
      min: range[0],
      max: range[1],
      inRange: { color: ["#f7fbff", "#9ecae1", "#3182bd"] },
      text: [write(range[1]), write(range[0])],
      right: 18,
      top: "center",
      itemHeight: 240,
    },
    series: {
      type: "heatmap",
      data: values.flatMap((row, j) => row.map((value, i) => [i, j, value])),
      label: { show: true, ...textStyle, formatter: ({ value }) => write((value as number[])[2]!) },
      itemStyle: { borderColor: "#fff", borderWidth: 2 },
    },
  });
}

/** Prints rows under the names of their fields; numbers with three significant digits. */
export function printTable(rows: readonly Readonly<Record<string, string | number>>[]): void {
  const write = (value: string | number) =>
    typeof value === "string" || Number.isInteger(value) || value >= 1000 || value === 0
      ? `${typeof value === "number" ? Math.round(value) : value}`
      : value.toPrecision(3);
  const lines = [Object.keys(rows[0] ?? {}), ...rows.map((row) => Object.values(row).map(write))];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((cells) => cells[column]!.length)));
  for (const cells of lines) console.log(cells.map((cell, i) => cell.padStart(widths[i]!)).join("   "));
}

function axis<Type extends "value" | "log" | "category">(name: string, type: Type) {
  return {
    name,
    type,
    nameLocation: "middle",
    nameGap: 32,
    nameTextStyle: textStyle,
    axisLabel: { color: grey, fontSize: 13, hideOverlap: true },
    axisLine: { show: true, lineStyle: { color: grey } },
    splitLine: { lineStyle: { color: light } },
  } as const;
}

function draw(file: string, option: echarts.EChartsOption): string {
  const picture = echarts.init(null, null, { renderer: "svg", ssr: true, width, height });
  picture.setOption({ backgroundColor: "#fff", textStyle: { fontFamily: "sans-serif" }, ...option });
  mkdirSync(new URL("output/", import.meta.url), { recursive: true });
  writeFileSync(new URL(`output/${file}`, import.meta.url), picture.renderToSVGString());
  picture.dispose();
  return `examples/output/${file}`;
}
