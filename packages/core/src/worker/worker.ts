// The library's worker: everything heavy happens here. It is bundled into the library as text.
import * as Comlink from 'comlink';
import { installErrorTransfer } from './errors-across.ts';
import { ModelService } from './model-service.ts';

installErrorTransfer();
Comlink.expose(new ModelService());
