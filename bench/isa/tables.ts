import { formatTable } from '../records.ts';
import type { LoopFigures, PipelineFigures } from './figures.ts';

/** Pipelines by rows, families by columns. */
export function overview(byFamily: ReadonlyMap<string, readonly PipelineFigures[]>): string {
  const families = [...byFamily.keys()];
  const pipelines = [...new Set([...byFamily.values()].flat().map(({ pipeline }) => pipeline))];
  return formatTable(
    ['pipeline', ...families],
    pipelines.map((pipeline) => [
      pipeline,
      ...families.map((family) => {
        const figures = byFamily.get(family)?.find((each) => each.pipeline === pipeline);
        return figures === undefined ? '' : cell(figures);
      }),
    ]),
  );
}

function cell({ vectorPer16, weightsInFlight, waves, spills }: PipelineFigures): string {
  return [
    vectorPer16 === undefined ? '' : `${Math.round(vectorPer16)} ${weightsInFlight}B`,
    waves === undefined ? '' : `${waves}w`,
    spills === 0 ? '' : `${spills} spilled`,
  ]
    .filter((part) => part !== '')
    .join(' ');
}

/** One row for each pipeline of a GPU, with the compiler's statistics. */
export function pipelineTable(pipelines: readonly PipelineFigures[]): string {
  const names = Object.keys(pipelines[0]?.statistics ?? {});
  return formatTable(
    ['pipeline', 'threads', 'subgroup', 'waves', 'spills', ...names],
    pipelines.map(({ pipeline, threads, subgroup, waves, spills, statistics }) => [
      pipeline,
      ...[threads, subgroup, waves ?? '', spills, ...Object.values(statistics)].map(String),
    ]),
  );
}

/** One row for each loop that loads, or has no loop in it. */
export function loopTable(pipelines: readonly PipelineFigures[]): string {
  const header = ['pipeline', 'depth', 'cycles', 'vector', 'slow', 'fma', 'convert', 'scalar'];
  header.push('wait', 'constant', 'shared', 'store', 'branch', 'in flight', 'per 16 B', 'loads');
  return formatTable(
    header,
    pipelines.flatMap(({ pipeline, loops }) =>
      loops
        .filter(({ loads, isInnermost }) => loads.length > 0 || isInnermost)
        .map((loop) => [pipeline, ...loopCells(loop)]),
    ),
  );
}

function loopCells(loop: LoopFigures): string[] {
  const of = (kind: Parameters<typeof loop.counts.get>[0]): number => loop.counts.get(kind) ?? 0;
  const { depth, cycles, delay, slow, fma, convert, inFlight, vectorPer16, loads } = loop;
  return [
    ...[depth, cycles ?? delay ?? '', of('vector'), slow, fma, convert],
    ...[of('scalar'), of('wait'), of('constant'), of('shared'), of('store'), of('branch')],
    [...inFlight.values()].join('+'),
    vectorPer16 === undefined ? '' : Math.round(vectorPer16),
    loads.join(', '),
  ].map(String);
}
