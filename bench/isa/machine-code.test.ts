import { expect, test } from 'vitest';
import { parseAmd } from './amd.ts';
import { bytesInFlight } from './figures.ts';
import { parseIntel } from './intel.ts';
import type { MachineCode } from './machine-code.ts';
import { parseNvidia } from './nvidia.ts';

const BINDINGS = new Map([
  [1, 'weights'],
  [4, 'x'],
]);

test('AMD: loops, loads by binding, and bytes in flight up to a wait that leaves them behind', () => {
  const parsed = parseAmd(
    `
BB0:
	s_load_b128 s[8:11], s[2:3], 0x10                    ; f4080081
	s_load_b128 s[12:15], s[2:3], 0x40                   ; f4080301
BB1:
	buffer_load_b128 v[8:11], v5, s[8:11], 0 offen       ; e05c0000
	buffer_load_b128 v[12:15], v6, s[12:15], 0 offen     ; e05c0000
	buffer_load_b128 v[16:19], v5, s[8:11], 0 offen      ; e05c0000
	s_waitcnt vmcnt(1)                                   ; bf8917f7
	v_fma_f32 v1, v8, v12, v1                            ; d6130001
	v_mul_lo_u32 v2, v8, v9                              ; d72c0002
	buffer_load_b32 v20, v5, s[8:11], 0 offen            ; e0500000
	s_waitcnt vmcnt(0)                                   ; bf8903f7
	s_cbranch_scc1 BB1                                   ; bfa2ffe0
BB2:
	s_endpgm                                             ; bfb00000
`,
    BINDINGS,
  );
  const code = loopOf(parsed);
  expect(loadsOf(code)).toEqual(['weights 16', 'x 16', 'weights 16', 'weights 4']);
  expect(code.filter(({ kind }) => kind === 'vector')).toHaveLength(2);
  expect(code.filter(({ isSlow }) => isSlow)).toHaveLength(1);
  expect(bytesInFlight(code, 'weights')).toBe(32); // the last load waits for all but one of those before it
  expect(bytesInFlight(code, 'x')).toBe(16);
});

test('AMD, RDNA 4: a wait for loads and shared memory together', () => {
  const load = 'buffer_load_b128 v[8:11], v5, s[8:11], null offen ; c405c07c';
  const parsed = parseAmd(
    `
	s_load_b128 s[8:11], s[2:3], 0x10 ; f4080081
BB1:
	${load}
	s_wait_loadcnt_dscnt 0x100 ; bfc80100
	s_cbranch_scc1 BB1 ; bfa2ffe0
`,
    BINDINGS,
  );
  expect(bytesInFlight(loopOf(parsed), 'weights')).toBe(32); // one of the iteration before is left
});

test('Intel: the driver orders its table of bindings, and waits name a load', () => {
  const nir = `
con 32 %2607 = @resource_intel (%2603 (0xdeaddead), %3881 (0x3), %140 (0x0), %2606 (0x0)) (desc_set=0, binding=1, resource_intel=0)
con 32 %2573 = @resource_intel (%2569 (0xdeaddead), %3879 (0x5), %140 (0x0), %2572 (0x0)) (desc_set=0, binding=4, resource_intel=0)
`;
  const load = (entry: number, token: string): string => `
send(16)        g1UD            g119UD          nullUD          0x64803500                0x04000000
                            ugm MsgDesc: ( load, a32, d32, V4, L1STATE_L3MOCS dst_len = 8 bti )  BTI ${entry}  base_offset 0  { align1 1H ${token} };`;
  const parsed = parseIntel(
    `
LABEL5:
${load(3, '$6')}
${load(3, '$7')}
mad(16)         g65<1>F         g82<1,1,0>F  g1<1>F g2<1>F       { align1 1H $6.dst };
${load(5, '$8')}
sync allwr(1)                   null<0,1,0>UB                   { align1 WE_all 1N };
while(16)       JIP:  LABEL5                                    { align1 1H };
`,
    nir,
    BINDINGS,
  );
  const code = loopOf(parsed);
  expect(loadsOf(code)).toEqual(['weights 16', 'weights 16', 'x 16']);
  expect(bytesInFlight(code, 'weights')).toBe(32);
  expect(bytesInFlight(code, 'x')).toBe(16);
});

test('NVIDIA: addresses lead to bindings, and waits name barriers', () => {
  const parsed = parseNvidia(
    `
block 0 L3 [] -> {
      r50      = mov c[0x1][0x10]    // delay=6
} -> [1]
block 1 L5 [0, 1] -> {
      r52..56  = ld.global.a64.constant.b128 [r50..52]   // delay=4 rd:2 wr:3
      r56..60  = ld.global.a64.constant.b128 [r50..52]   // delay=6 wr:2
      r1       = ffma r52 r56 r1     // delay=6 wt=001000
      r2       = ffma r52 r56 r1     // delay=6 wt=000100
} -> [1, 2]
block 2 L5 [1] -> {
      exit    // delay=1
} -> []
`,
    BINDINGS,
  );
  const code = loopOf(parsed);
  expect(loadsOf(code)).toEqual(['weights 16', 'weights 16']);
  expect(code.filter(({ isFma }) => isFma)).toHaveLength(2);
  expect(bytesInFlight(code, 'weights')).toBe(32);
});

test('an inner loop is counted in the outer one', () => {
  const parsed = parseAmd(
    `
BB0:
	s_nop 0 ;
BB1:
	v_mov_b32 v1, v2 ;
BB2:
	v_mov_b32 v1, v3 ;
	s_cbranch_scc1 BB2 ;
BB3:
	s_cbranch_scc1 BB1 ;
BB4:
	s_endpgm ;
`,
    BINDINGS,
  );
  expect(
    parsed.loops.map(({ depth, isInnermost, code }) => [depth, isInnermost, code.length]),
  ).toEqual([
    [0, false, 4],
    [1, true, 2],
  ]);
});

function loopOf({ loops }: MachineCode): MachineCode['code'] {
  const [loop] = loops;
  if (!loop) throw new Error('no loop was found');
  return loop.code;
}

function loadsOf(code: MachineCode['code']): string[] {
  return code.filter(({ kind }) => kind === 'load').map(({ from, bytes }) => `${from} ${bytes}`);
}
