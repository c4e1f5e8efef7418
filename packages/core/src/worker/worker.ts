// The library's worker, where models are loaded and run. It is bundled into the library as text, and as the file
// ossicle/worker.
import * as Comlink from 'comlink';
import { installErrorTransfer } from './error-transfer.ts';
import { ModelService } from './model-service.ts';

installErrorTransfer();
Comlink.expose(new ModelService());
