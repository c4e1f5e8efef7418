import { expect, test } from 'vitest';
import type { PipelineFigures } from './figures.ts';
import { checkLimits, type Limit } from './limits.ts';

const FIGURES = {
  device: '',
  threads: 64,
  subgroup: 64,
  statistics: {},
  loops: [],
  assembly: '',
  nir: '',
} as const;

test('a figure beyond its goal is exceeded, missed if no worse than today, and reached when within', () => {
  const limit: Limit = {
    figure: 'vectorPer16',
    kernels: ['linear'],
    bound: 'at most',
    goal: { navi31: 70 },
  };
  const verdict = (vectorPer16: number, today?: number) =>
    checkLimits(
      'navi31',
      [
        { ...FIGURES, pipeline: 'linear/out', spills: 0, vectorPer16 },
        { ...FIGURES, pipeline: 'linear_tiled/out', spills: 0, vectorPer16: 600 },
      ],
      [today === undefined ? limit : { ...limit, today: { navi31: today } }],
    );
  expect(verdict(70.4)).toEqual({ exceeded: [], missed: [], reached: [] });
  expect(verdict(76).exceeded).toEqual(['navi31, vectorPer16 at most 70: linear/out 76']);
  expect(verdict(76, 76)).toEqual({
    exceeded: [],
    missed: ['navi31, vectorPer16 at most 70: linear/out 76'],
    reached: [],
  });
  expect(verdict(77, 76).exceeded).toEqual([
    'navi31, vectorPer16 at most 70 (76 before): linear/out 77',
  ]);
  expect(verdict(70, 76).reached).toEqual(['navi31, vectorPer16 at most 70']);
});

test('a kernel without the figure, and a family without a limit, are not compared', () => {
  const limit: Limit = { figure: 'waves', kernels: 'all', bound: 'at least', goal: { navi31: 8 } };
  const figures: PipelineFigures = { ...FIGURES, pipeline: 'rope', spills: 0 };
  const nothing = { exceeded: [], missed: [], reached: [] };
  expect(checkLimits('navi31', [figures], [limit])).toEqual(nothing);
  expect(checkLimits('dg2', [{ ...figures, waves: 1 }], [limit])).toEqual(nothing);
  expect(checkLimits('navi31', [{ ...figures, waves: 7 }], [limit]).exceeded).toEqual([
    'navi31, waves at least 8: rope 7',
  ]);
});

test('a limit on a kernel that was renamed is not forgotten', () => {
  const limit: Limit = {
    figure: 'waves',
    kernels: ['route'],
    bound: 'at least',
    goal: { navi31: 8 },
  };
  const figures: PipelineFigures = { ...FIGURES, pipeline: 'router', spills: 0, waves: 1 };
  expect(checkLimits('navi31', [figures], [limit]).exceeded).toEqual([
    'limits.ts names kernels that are not there: route',
  ]);
});
