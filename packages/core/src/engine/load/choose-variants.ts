import { describeBrowser, type Gpu } from '../../gpu/device.ts';
import { SHADERS, type Shaders, shadersChecksum, withoutVariants } from '../../kernels/shaders.ts';
import type { Runtime } from '../../model/runtime.ts';
import { readChoices, writeChoices } from '../../store/variant-record.ts';
import type { VariantChoice } from '../../types/diagnosis.ts';
import type { LoadOptions } from '../../types/load.ts';
import {
  type ChosenVariants,
  proveVariants,
  TILES,
  tuneVariants,
} from '../variants/tune-variants.ts';
import type { LoadPlan } from './plan.ts';

/** The kernels to compile, and what is known of their variants from an earlier load. */
export interface RememberedVariants {
  /** The library's kernels, without the variants that were not chosen. */
  readonly shaders: Shaders;
  /** Absent if there was no earlier load. */
  readonly choices?: readonly VariantChoice[] | undefined;
  readonly key: string;
}

/** Reads what an earlier load has chosen on the same GPU, with the same driver as far as the browser tells. */
export async function recallChoices(
  { device }: Gpu,
  { shape }: LoadPlan,
  { tune = true }: Pick<LoadOptions, 'tune'>,
): Promise<RememberedVariants> {
  const { vendor, architecture, device: model, description } = device.adapterInfo;
  const adapter = [vendor, architecture, model, description, describeBrowser()];
  const key = JSON.stringify([adapter, [...device.features].sort(), shadersChecksum(), shape]);
  const choices = tune ? await readChoices(key) : undefined;
  const unused = (choices ?? []).filter(({ choice }) => choice !== 'used');
  const shaders = withoutVariants(
    SHADERS,
    unused.map(({ variant }) => variant),
  );
  return { shaders, choices, key };
}

/**
 * Proves the kernels by the self-test, and times their variants unless that was done before.
 *
 * @throws {@link OssicleError} `device-unsuitable` if this GPU computes wrong results.
 */
export async function chooseVariants(
  runtime: Runtime,
  { choices, key }: RememberedVariants,
  { tune = true }: Pick<LoadOptions, 'tune'>,
): Promise<ChosenVariants> {
  const proven = await proveVariants(runtime);
  if (choices) {
    const wrong = proven.choices.filter(({ choice }) => choice === 'wrong');
    const ofVariants = choices.filter(({ variant }) => !TILES.includes(variant));
    const all = new Map([...ofVariants, ...wrong].map((choice) => [choice.variant, choice]));
    return { runtime: proven.runtime, choices: [...all.values()] };
  }
  if (!tune) return proven;
  const tuned = await tuneVariants(proven);
  if (tuned.choices.length > 0) await writeChoices(key, tuned.choices);
  return tuned;
}
