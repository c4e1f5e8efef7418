import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { CompileOptions } from './compile.ts';
import type { PipelineRecord } from './figures.ts';

const LAYER = 'VK_LAYER_ossicle_isa';

/** A Mesa driver, and how to make it believe in a GPU that is not there. */
interface Driver {
  /** As in `libvulkan_radeon.so`. */
  readonly name: 'radeon' | 'intel' | 'nouveau';
  readonly environment: Readonly<Record<string, string>>;
  /** Dawn's toggles. */
  readonly enable: readonly string[];
}

const NVIDIA_CHIPS: Readonly<Record<string, string>> = { turing: '0x164', ampere: '0x172' };

const INTEL_PLATFORMS =
  /^(dg1|dg2|tgl|rkl|adl|rpl|mtl|arl|lnl|bmg|icl|ehl|jsl|skl|kbl|cfl|glk|bxt|whl|cml)$/;

/** The driver of a family of GPUs, by Mesa's name for it. */
function driverOf(family: string): Driver {
  const chip = NVIDIA_CHIPS[family];
  if (chip !== undefined) {
    return {
      name: 'nouveau',
      environment: { NOUVEAU_CHIPSET: chip },
      // NVK checks every 4 bytes by a branch, unlike NVIDIA's driver.
      enable: ['disable_robustness'],
    };
  }
  return INTEL_PLATFORMS.test(family)
    ? { name: 'intel', environment: { INTEL_STUB_GPU_PLATFORM: family }, enable: [] }
    : { name: 'radeon', environment: { RADV_FORCE_FAMILY: family }, enable: [] };
}

/** Compiles on the driver of a family, in a process of its own. @throws Error if nothing comes of it. */
export async function compileFor(
  family: string,
  options: CompileOptions,
): Promise<PipelineRecord[]> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error('npm run isa needs Linux on x86-64: it runs the drivers of Debian');
  }
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'ossicle');
  const tree = process.env.OSSICLE_TRIXIE ?? join(cache, 'trixie');
  const libraries = join(tree, 'usr/lib/x86_64-linux-gnu');
  const folder = join(cache, 'isa');
  const { name, environment, enable } = driverOf(family);
  // lavapipe.sh unpacks all of Mesa's drivers; asked for help, it runs no test.
  if (!existsSync(join(libraries, `libvulkan_${name}.so`))) {
    await run('bash', ['scripts/lavapipe.sh', '--help']);
  }
  await buildLayer(folder);
  const preload: string[] = [];
  if (name !== 'radeon') {
    const shim = join(folder, `lib${name}_noop_drm_shim.so`);
    if (!existsSync(shim)) await run('bash', ['bench/isa/build-shims.sh', folder]);
    preload.push('--preload', shim);
  }
  const work = await mkdtemp(join(tmpdir(), 'ossicle-isa-'));
  try {
    const manifest = join(work, 'driver.json');
    const driver = {
      file_format_version: '1.0.0',
      ICD: { api_version: '1.4.305', library_path: join(libraries, `libvulkan_${name}.so`) },
    };
    await writeFile(manifest, JSON.stringify(driver));
    const out = join(work, 'pipelines.jsonl');
    const loader = join(libraries, 'ld-linux-x86-64.so.2');
    const toggles = { ...options.toggles, enable: [...options.toggles.enable, ...enable] };
    await run(
      loader,
      [
        ...['--library-path', libraries, ...preload, process.execPath],
        ...[
          'scripts/bootstrap.mjs',
          'bench/isa',
          'compile',
          JSON.stringify({ ...options, toggles }),
        ],
      ],
      {
        ...environment,
        OSSICLE_ISA_OUT: out,
        VK_DRIVER_FILES: manifest,
        VK_LAYER_PATH: folder,
        VK_INSTANCE_LAYERS: LAYER,
        MESA_SHADER_CACHE_DISABLE: '1',
      },
    );
    const lines = (await readFile(out, 'utf8')).split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line));
  } finally {
    await rm(work, { recursive: true });
  }
}

/** Compiles `layer.c`, unless a newer library is there. */
async function buildLayer(folder: string): Promise<void> {
  const source = resolve('bench/isa/layer.c');
  const library = join(folder, 'layer.so');
  if (existsSync(library) && (await stat(library)).mtimeMs > (await stat(source)).mtimeMs) return;
  await mkdir(folder, { recursive: true });
  if (!existsSync('/usr/include/vulkan/vk_layer.h') || !existsSync('/usr/bin/gcc')) {
    const packages = ['gcc', 'libc6-dev', 'libvulkan-dev'];
    await run('apt-get', ['update', '-q']);
    await run('apt-get', ['install', '-yq', '--no-install-recommends', ...packages]);
  }
  const partial = `${library}.${process.pid}`;
  await run('gcc', ['-O1', '-shared', '-fPIC', '-fvisibility=hidden', source, '-o', partial]);
  await rename(partial, library);
  const manifest = {
    file_format_version: '1.1.2',
    layer: {
      name: LAYER,
      type: 'GLOBAL',
      library_path: './layer.so',
      api_version: '1.3.239',
      implementation_version: '1',
      description: 'compiles only',
    },
  };
  await writeFile(join(folder, `${LAYER}.json`), JSON.stringify(manifest));
}

/** Runs a program; its output is shown if it fails. */
function run(
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data) => {
        output += data;
      });
    }
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (code === 0) resolve();
      else
        reject(
          new Error(`${program} ${args[0]} ended with ${code ?? signal}:\n${output.slice(-4000)}`),
        );
    });
  });
}
