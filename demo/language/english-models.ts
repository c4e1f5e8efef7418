/** The texts about models and their storage, in English. */
export const englishModels = {
  preflight: {
    can: (name: string): string => `${name} can run here`,
    cannot: (name: string): string => `${name} will not run here`,
    passed: 'All checks passed.',
    nothing: 'Nothing has been downloaded.',
    download: (bytes: string): string => `Download ${bytes}`,
    downloadMore: (bytes: string): string => `Download ${bytes} more`,
    load: 'Load',
    notNow: 'Not now',
    reasons: 'Reasons',
    largestBuffer: (bytes: string): string => `Largest buffer: ${bytes}`,
    noGpu: 'None available to WebGPU',
    memory: 'GPU memory needed',
    memoryNote: 'Allocated briefly as a test, then released.',
    downloadFact: 'Download',
    from: (host: string): string =>
      `From ${host}, once. You can pause it, and it resumes after interruptions.`,
    fromPartly: (host: string, here: string, all: string): string =>
      `From ${host}. ${here} of ${all} is already here.`,
    storage: 'Storage needed',
    speed: 'Speed',
    atMost: (rate: string): string => `At most ${rate}`,
    speedNote: (bytesPerToken: string, bytesPerSecond: string): string =>
      `Each token reads ${bytesPerToken} of weights, and this GPU just copied ${bytesPerSecond} per second within its memory, reads and writes counted. Arithmetic, a longer context and other programs make it slower.`,
    nothingToStore: 'Nothing to store: the files stay where they are.',
    quotaUnknown: 'The browser does not report how much it allows.',
    available: (bytes: string): string => `The browser reports ${bytes} available.`,
    availableLess: (bytes: string): string =>
      `The browser reports ${bytes} available, but often allows more: ossicle requests the space before the download begins.`,
  },

  hub: {
    title: 'Hugging Face access token and mirror',
    token: 'Access token',
    tokenHint:
      'For private or gated repositories. Kept in this page’s memory until you close or reload it, never stored, and sent only to Hugging Face or its mirror. Use a read-only token.',
    mirror: 'Mirror',
    mirrorHint:
      'A URL with the same paths as huggingface.co. Not stored either: the page reloads with the mirror in its URL, which allows it to connect.',
  },

  model: {
    title: 'Models',
    inUse: 'In use: ',
    parameters: 'Parameters',
    context: 'Context',
    contextTokens: (count: string): string => `${count} tokens`,
    memory: 'GPU memory',
    gpu: 'GPU',
    load: 'Load a model',
    nano: 'Comes with the page (3\u00a0MB). A toy that shows the machinery and runs on any GPU.',
    medium:
      'OpenAI’s open-weight model: a one-time 13.8\u00a0GB download and 12.4\u00a0GB of GPU memory. Checks first whether it will run here.',
    safeguard:
      'gpt-oss-20b trained to check texts against a policy that you write. The same size: 13.8\u00a0GB to download, 12.4\u00a0GB of GPU memory.',
    large:
      'The larger one: a one-time 65\u00a0GB download, for GPUs with about 64\u00a0GB of memory.',
    source: 'From Hugging Face or another host',
    sourcePlaceholder: 'owner/name or a URL',
    sourceHint:
      'A Hugging Face repository, or the URL of a .gguf file or of a folder with config.json and *.safetensors.',
    sourceWrong: 'This is neither owner/name nor an http(s) URL.',
    sourceLoads: (name: string, host: string): string => `Loads ${name} from ${host}.`,
    sourceReloads: (host: string, hasToken: boolean): string =>
      `The page will reload to allow connections to ${host}. This ${hasToken ? 'clears the token' : 'stops an answer'}. The host must let other sites read its files (CORS).`,
    loadButton: 'Load',
    thisPage: 'this page',
    thisComputer: 'this computer',
    unnamedFiles: 'Unnamed files',
    local: 'From this computer',
    openFolder: 'Open a folder',
    openGguf: 'Open GGUF files',
    localHint:
      'Or drop them anywhere on this page. For a split GGUF file, choose all parts. Files are read in place, not copied.',
    stored: 'Stored in this browser',
    diagnose: 'Diagnose',
    diagnosing: 'Testing the kernels on this GPU…',
    diagnosis: 'Diagnosis',
    copyDiagnosis: 'Copy the diagnosis',
    checkPolicy: 'Check a text',
    contextChoice: 'Context length',
    contextOption: (count: string, bytes: string): string => `${count} tokens: ${bytes}`,
    weightsChoice: 'Attention and embeddings',
    weights8: (bytes: string): string => `8\u00a0bits: ${bytes}`,
    weights16: (bytes: string, share: string): string => `16\u00a0bits: ${bytes}, ${share} slower`,
    applySettings: 'Apply and reload',
    settingsHint:
      'Sizes are approximate GPU memory for the whole model. A longer context takes its memory at once, and answers slow down as it fills. Attention and embeddings were published with 16\u00a0bits.',
  },

  measured: {
    button: 'Measure speed',
    busy: 'Reading a prompt and writing an answer…',
    title: 'Speed',
    copy: 'Copy the measurements',
    reading: (tokens: string, rate: string): string => `Reads ${tokens} tokens at ${rate}`,
    writing: (tokens: string, rate: string): string => `Writes ${tokens} tokens at ${rate}`,
    perToken: (bytes: string): string => `Each token reads ${bytes} of weights`,
    atMost: (rate: string, bytes: string): string =>
      `This GPU’s memory allows ${rate} at most (${bytes}/s)`,
    share: (share: string): string => `Reached: ${share} of that`,
  },

  storage: {
    nothing: 'Nothing yet. Models you load are stored here and open offline next time.',
    import: 'Import a folder',
    importing: 'Importing',
    importFailed: 'Import failed',
    imported: (name: string): string => `Imported ${name}.`,
    unreadable: (why: string): string =>
      `Storage cannot be read: ${why} Models will load without being stored.`,
    usage: (used: string, limit: string): string =>
      `This site uses ${used}. The browser reports a limit of ${limit}, but often allows more. `,
    kept: 'It keeps the models until you delete them.',
    mayDelete: 'It may delete models when the disk fills up. ',
    askToKeep: 'Ask it to keep them',
    willKeep: 'The browser will keep the models.',
    declined:
      'The browser declined. It decides by how you use the site: bookmark or install it, then ask again.',
    sourceOf: 'Source of the model',
    importButton: 'Import',
    unnamed:
      'The folder does not say which model it holds. Enter its source, for example openai/gpt-oss-20b:',
    wrongName: (name: string): string =>
      `“${name}” is neither owner/name nor a URL. Enter the source of the model:`,
    embedded: 'Comes with the page',
    used: (origin: string, ago: string): string => `${origin} · used ${ago}`,
    resume: 'Resume',
    load: 'Load',
    verify: 'Verify',
    export: 'Export',
    of: (action: string, name: string): string => `${action} ${name}`,
    verifying: 'Verifying',
    verifyFailed: 'It could not be verified',
    intact: (bytes: string): string => `Intact: ${bytes} read, every byte as downloaded.`,
    damaged: (bytes: string, paths: string): string =>
      `Damaged: ${bytes} in ${paths}. Only these parts need to be downloaded again.`,
    downloadAgain: (bytes: string): string => `Download ${bytes} again`,
    exporting: 'Exporting',
    exportFailed: 'Export failed',
    exported: (folder: string): string => `Exported to the folder ${folder}.`,
    deleteQuestion: (name: string): string => `Delete ${name}?`,
    deleteDetail: (bytes: string): string =>
      `This frees ${bytes}. To use the model again, you will need to download it again.`,
    deleting: 'Deleting',
    deleteFailed: (name: string): string => `${name} could not be deleted`,
  },
};
