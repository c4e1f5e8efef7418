// A Vulkan layer that lets Dawn (WebGPU) compile for a GPU that is not there, and writes down what the driver made.
//
// It stands between Dawn and a Mesa driver that has no device behind it (RADV's null winsys, or drm-shim):
// - fences, semaphores, memory and submissions are answered here: nothing is executed, everything is done at once;
// - each compute pipeline is compiled with statistics and disassembly, which are appended as JSON lines to the file
//   OSSICLE_ISA_OUT, with the name that the environment has in OSSICLE_ISA_NAME at that moment.
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#define EXPORT __attribute__((visibility("default")))
#define LAYER_NAME "VK_LAYER_ossicle_isa"

static PFN_vkGetInstanceProcAddr next_gipa;
static PFN_vkGetDeviceProcAddr next_gdpa;
static VkInstance the_instance;
static VkPhysicalDevice the_physical;
static uint64_t completed[1 << 16];  // values of fake timeline semaphores
static uint64_t fakes = 1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

// ---- SPIR-V of shader modules, kept until their pipeline is made

struct module { VkShaderModule handle; size_t bytes; uint32_t *code; struct module *next; };
static struct module *modules;

static void keep(VkShaderModule handle, size_t bytes, const uint32_t *code) {
  struct module *m = malloc(sizeof *m);
  m->handle = handle; m->bytes = bytes; m->code = malloc(bytes);
  memcpy(m->code, code, bytes);
  pthread_mutex_lock(&lock);
  m->next = modules; modules = m;
  pthread_mutex_unlock(&lock);
}

static const void *find_chain(const void *chain, VkStructureType type) {
  for (const VkBaseInStructure *s = chain; s; s = s->pNext) if (s->sType == type) return s;
  return NULL;
}

// ---- instance and device

static VkLayerInstanceCreateInfo *instance_link(const VkInstanceCreateInfo *info) {
  for (VkLayerInstanceCreateInfo *s = (void *)info->pNext; s; s = (void *)s->pNext)
    if (s->sType == VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO && s->function == VK_LAYER_LINK_INFO) return s;
  return NULL;
}

static VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo *info, const VkAllocationCallbacks *a, VkInstance *out) {
  VkLayerInstanceCreateInfo *link = instance_link(info);
  next_gipa = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  PFN_vkCreateInstance create = (PFN_vkCreateInstance)next_gipa(NULL, "vkCreateInstance");
  VkResult r = create(info, a, out);
  if (r == VK_SUCCESS) the_instance = *out;
  return r;
}

static VkResult VKAPI_CALL create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo *info, const VkAllocationCallbacks *a, VkDevice *out) {
  VkLayerDeviceCreateInfo *link = NULL;
  for (VkLayerDeviceCreateInfo *s = (void *)info->pNext; s; s = (void *)s->pNext)
    if (s->sType == VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO && s->function == VK_LAYER_LINK_INFO) link = s;
  PFN_vkGetInstanceProcAddr gipa = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  next_gdpa = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  PFN_vkCreateDevice create = (PFN_vkCreateDevice)gipa(the_instance, "vkCreateDevice");

  const char *wanted = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
  const char **names = calloc(info->enabledExtensionCount + 1, sizeof *names);
  bool has = false;
  for (uint32_t i = 0; i < info->enabledExtensionCount; i++) {
    names[i] = info->ppEnabledExtensionNames[i];
    has |= !strcmp(names[i], wanted);
  }
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable = {
    .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
    .pNext = (void *)info->pNext, .pipelineExecutableInfo = VK_TRUE };
  VkDeviceCreateInfo mine = *info;
  if (!has) {
    names[mine.enabledExtensionCount++] = wanted;
    mine.ppEnabledExtensionNames = names;
    mine.pNext = &executable;
  }
  VkResult r = create(physical, &mine, a, out);
  if (r != VK_SUCCESS) fprintf(stderr, "isa: vkCreateDevice gave %d\n", r);
  free(names);
  the_physical = physical;
  return r;
}

// ---- what would execute: done at once

static void complete(const void *chain, uint32_t count, const VkSemaphore *semaphores) {
  const VkTimelineSemaphoreSubmitInfo *t = find_chain(chain, VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO);
  for (uint32_t i = 0; t && i < count && i < t->signalSemaphoreValueCount; i++)
    completed[(uint64_t)semaphores[i] & 0xffff] = t->pSignalSemaphoreValues[i];
}
static VkResult VKAPI_CALL create_fence(VkDevice d, const VkFenceCreateInfo *i, const VkAllocationCallbacks *a, VkFence *out) {
  *out = (VkFence)(__sync_fetch_and_add(&fakes, 1)); return VK_SUCCESS;
}
static VkResult VKAPI_CALL create_semaphore(VkDevice d, const VkSemaphoreCreateInfo *i, const VkAllocationCallbacks *a, VkSemaphore *out) {
  *out = (VkSemaphore)(__sync_fetch_and_add(&fakes, 1)); return VK_SUCCESS;
}
static void VKAPI_CALL destroy_fence(VkDevice d, VkFence f, const VkAllocationCallbacks *a) {}
static void VKAPI_CALL destroy_semaphore(VkDevice d, VkSemaphore s, const VkAllocationCallbacks *a) {}
static VkResult VKAPI_CALL reset_fences(VkDevice d, uint32_t n, const VkFence *f) { return VK_SUCCESS; }
static VkResult VKAPI_CALL fence_status(VkDevice d, VkFence f) { return VK_SUCCESS; }
static VkResult VKAPI_CALL wait_fences(VkDevice d, uint32_t n, const VkFence *f, VkBool32 all, uint64_t t) { return VK_SUCCESS; }
static VkResult VKAPI_CALL semaphore_value(VkDevice d, VkSemaphore s, uint64_t *v) { *v = completed[(uint64_t)s & 0xffff]; return VK_SUCCESS; }
static VkResult VKAPI_CALL wait_semaphores(VkDevice d, const VkSemaphoreWaitInfo *i, uint64_t t) { return VK_SUCCESS; }
static VkResult VKAPI_CALL signal_semaphore(VkDevice d, const VkSemaphoreSignalInfo *i) {
  completed[(uint64_t)i->semaphore & 0xffff] = i->value; return VK_SUCCESS;
}
static VkResult VKAPI_CALL submit(VkQueue q, uint32_t n, const VkSubmitInfo *s, VkFence f) {
  for (uint32_t i = 0; i < n; i++) complete(s[i].pNext, s[i].signalSemaphoreCount, s[i].pSignalSemaphores);
  return VK_SUCCESS;
}
static VkResult VKAPI_CALL submit2(VkQueue q, uint32_t n, const VkSubmitInfo2 *s, VkFence f) {
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t j = 0; j < s[i].signalSemaphoreInfoCount; j++)
      completed[(uint64_t)s[i].pSignalSemaphoreInfos[j].semaphore & 0xffff] = s[i].pSignalSemaphoreInfos[j].value;
  return VK_SUCCESS;
}
static VkResult VKAPI_CALL queue_idle(VkQueue q) { return VK_SUCCESS; }
static VkResult VKAPI_CALL device_idle(VkDevice d) { return VK_SUCCESS; }

// ---- memory: one kind of it, reserved and never touched

static void one_memory(VkPhysicalDeviceMemoryProperties *m) {
  m->memoryHeapCount = m->memoryTypeCount = 1;
  m->memoryHeaps[0] = (VkMemoryHeap){ 1ull << 36, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT };
  m->memoryTypes[0] = (VkMemoryType){ VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
    VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, 0 };
}
static void VKAPI_CALL memory_properties(VkPhysicalDevice p, VkPhysicalDeviceMemoryProperties *m) { one_memory(m); }
static void VKAPI_CALL memory_properties2(VkPhysicalDevice p, VkPhysicalDeviceMemoryProperties2 *m) { one_memory(&m->memoryProperties); }
static VkResult VKAPI_CALL allocate_memory(VkDevice d, const VkMemoryAllocateInfo *i, const VkAllocationCallbacks *a, VkDeviceMemory *out) {
  void *at = mmap(NULL, i->allocationSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
  *out = (VkDeviceMemory)at;
  return VK_SUCCESS;
}
static void VKAPI_CALL free_memory(VkDevice d, VkDeviceMemory m, const VkAllocationCallbacks *a) {}
static VkResult VKAPI_CALL map_memory(VkDevice d, VkDeviceMemory m, VkDeviceSize at, VkDeviceSize n, VkMemoryMapFlags f, void **out) {
  *out = (char *)m + at; return VK_SUCCESS;
}
static void VKAPI_CALL unmap_memory(VkDevice d, VkDeviceMemory m) {}
static VkResult VKAPI_CALL flush_memory(VkDevice d, uint32_t n, const VkMappedMemoryRange *r) { return VK_SUCCESS; }
static VkResult VKAPI_CALL bind_buffer(VkDevice d, VkBuffer b, VkDeviceMemory m, VkDeviceSize at) { return VK_SUCCESS; }
static VkResult VKAPI_CALL bind_buffer2(VkDevice d, uint32_t n, const VkBindBufferMemoryInfo *i) { return VK_SUCCESS; }
static VkResult VKAPI_CALL create_buffer(VkDevice d, const VkBufferCreateInfo *i, const VkAllocationCallbacks *a, VkBuffer *out) {
  VkDeviceSize *size = malloc(sizeof *size);  // a buffer is its size
  *size = i->size;
  *out = (VkBuffer)size;
  return VK_SUCCESS;
}
static void VKAPI_CALL destroy_buffer(VkDevice d, VkBuffer b, const VkAllocationCallbacks *a) {}
static void requirements(VkBuffer b, VkMemoryRequirements *r) {
  *r = (VkMemoryRequirements){ (*(VkDeviceSize *)b + 255) / 256 * 256, 256, 1 };
}
static void VKAPI_CALL buffer_requirements(VkDevice d, VkBuffer b, VkMemoryRequirements *r) { requirements(b, r); }
static void VKAPI_CALL buffer_requirements2(VkDevice d, const VkBufferMemoryRequirementsInfo2 *i, VkMemoryRequirements2 *r) {
  requirements(i->buffer, &r->memoryRequirements);
}
static void VKAPI_CALL update_sets(VkDevice d, uint32_t n, const VkWriteDescriptorSet *w, uint32_t m, const VkCopyDescriptorSet *c) {}

// ---- commands: none is recorded

static VkResult VKAPI_CALL begin_commands(VkCommandBuffer c, const VkCommandBufferBeginInfo *i) { return VK_SUCCESS; }
static VkResult VKAPI_CALL end_commands(VkCommandBuffer c) { return VK_SUCCESS; }
static void VKAPI_CALL no_command(void) {}

// ---- pipelines

static VkResult VKAPI_CALL create_module(VkDevice d, const VkShaderModuleCreateInfo *info, const VkAllocationCallbacks *a, VkShaderModule *out) {
  PFN_vkCreateShaderModule create = (PFN_vkCreateShaderModule)next_gdpa(d, "vkCreateShaderModule");
  VkResult r = create(d, info, a, out);
  if (r == VK_SUCCESS) keep(*out, info->codeSize, info->pCode);
  return r;
}

static void json_string(FILE *f, const char *s) {
  fputc('"', f);
  for (; *s; s++) {
    unsigned char c = *s;
    if (c == '"' || c == '\\') fprintf(f, "\\%c", c);
    else if (c == '\n') fputs("\\n", f);
    else if (c < 0x20 || c > 0x7e) fprintf(f, "\\u%04x", c);
    else fputc(c, f);
  }
  fputc('"', f);
}

/** The workgroup size by OpExecutionMode LocalSize, or zeros. */
static void read_local_size(const uint32_t *code, size_t bytes, uint32_t size[3]) {
  for (size_t i = 5; i < bytes / 4 && code[i] >> 16; i += code[i] >> 16)
    if ((code[i] & 0xffff) == 16 && code[i + 2] == 17) memcpy(size, code + i + 3, 12);
}

static void report(VkDevice d, const VkComputePipelineCreateInfo *info, VkPipeline pipeline) {
  const char *path = getenv("OSSICLE_ISA_OUT"), *name = getenv("OSSICLE_ISA_NAME");
  if (!path || !name || !*name) return;
  PFN_vkGetPipelineExecutablePropertiesKHR get_properties = (void *)next_gdpa(d, "vkGetPipelineExecutablePropertiesKHR");
  PFN_vkGetPipelineExecutableStatisticsKHR get_statistics = (void *)next_gdpa(d, "vkGetPipelineExecutableStatisticsKHR");
  PFN_vkGetPipelineExecutableInternalRepresentationsKHR get_texts = (void *)next_gdpa(d, "vkGetPipelineExecutableInternalRepresentationsKHR");
  PFN_vkGetPhysicalDeviceProperties device_properties = (void *)next_gipa(the_instance, "vkGetPhysicalDeviceProperties");
  VkPhysicalDeviceProperties device;
  device_properties(the_physical, &device);

  const uint32_t *code = NULL;
  size_t bytes = 0;
  const VkShaderModuleCreateInfo *inlined = find_chain(info->stage.pNext, VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO);
  if (inlined) { code = inlined->pCode; bytes = inlined->codeSize; }
  for (struct module *m = modules; m && !code; m = m->next)
    if (m->handle == info->stage.module) { code = m->code; bytes = m->bytes; }
  uint32_t size[3] = {0, 0, 0};
  if (code) read_local_size(code, bytes, size);

  VkPipelineInfoKHR which = { .sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = pipeline };
  uint32_t count = 0;
  get_properties(d, &which, &count, NULL);
  VkPipelineExecutablePropertiesKHR *all = calloc(count, sizeof *all);
  for (uint32_t i = 0; i < count; i++) all[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR;
  get_properties(d, &which, &count, all);

  FILE *f = fopen(path, "a");
  fputs("{\"name\":", f); json_string(f, name);
  fputs(",\"device\":", f); json_string(f, device.deviceName);
  fprintf(f, ",\"workgroup\":[%u,%u,%u],\"executables\":[", size[0], size[1], size[2]);
  for (uint32_t i = 0; i < count; i++) {
    VkPipelineExecutableInfoKHR one = { .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline, .executableIndex = i };
    fprintf(f, "%s{\"name\":", i ? "," : ""); json_string(f, all[i].name);
    fprintf(f, ",\"subgroupSize\":%u,\"statistics\":{", all[i].subgroupSize);
    uint32_t n = 0;
    get_statistics(d, &one, &n, NULL);
    VkPipelineExecutableStatisticKHR *stats = calloc(n, sizeof *stats);
    for (uint32_t j = 0; j < n; j++) stats[j].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    get_statistics(d, &one, &n, stats);
    for (uint32_t j = 0; j < n; j++) {
      if (j) fputc(',', f);
      json_string(f, stats[j].name);
      fputc(':', f);
      switch (stats[j].format) {
      case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR: fputs(stats[j].value.b32 ? "true" : "false", f); break;
      case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR: fprintf(f, "%lld", (long long)stats[j].value.i64); break;
      case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR: fprintf(f, "%llu", (unsigned long long)stats[j].value.u64); break;
      default: fprintf(f, "%g", stats[j].value.f64);
      }
    }
    fputs("},\"texts\":{", f);
    n = 0;
    get_texts(d, &one, &n, NULL);
    VkPipelineExecutableInternalRepresentationKHR *texts = calloc(n, sizeof *texts);
    for (uint32_t j = 0; j < n; j++) texts[j].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR;
    get_texts(d, &one, &n, texts);
    for (uint32_t j = 0; j < n; j++) { texts[j].dataSize += 1; texts[j].pData = calloc(1, texts[j].dataSize + 1); }
    get_texts(d, &one, &n, texts);
    bool first = true;
    for (uint32_t j = 0; j < n; j++) {
      if (!texts[j].isText) continue;
      if (!first) fputc(',', f);
      first = false;
      json_string(f, texts[j].name); fputc(':', f); json_string(f, texts[j].pData);
      free(texts[j].pData);
    }
    fputs("}}", f);
    free(texts); free(stats);
  }
  fputs("]}\n", f);
  fclose(f);
  free(all);
}

static VkResult VKAPI_CALL create_compute(VkDevice d, VkPipelineCache cache, uint32_t n, const VkComputePipelineCreateInfo *infos,
    const VkAllocationCallbacks *a, VkPipeline *out) {
  PFN_vkCreateComputePipelines create = (PFN_vkCreateComputePipelines)next_gdpa(d, "vkCreateComputePipelines");
  VkComputePipelineCreateInfo *mine = malloc(n * sizeof *mine);
  for (uint32_t i = 0; i < n; i++) {
    mine[i] = infos[i];
    mine[i].flags |= VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR | VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR;
  }
  VkResult r = create(d, VK_NULL_HANDLE, n, mine, a, out);
  pthread_mutex_lock(&lock);
  for (uint32_t i = 0; i < n && r == VK_SUCCESS; i++) report(d, infos + i, out[i]);
  pthread_mutex_unlock(&lock);
  if (r != VK_SUCCESS) fprintf(stderr, "isa: vkCreateComputePipelines gave %d\n", r);
  free(mine);
  return r;
}

// ---- dispatch

static PFN_vkVoidFunction VKAPI_CALL device_proc(VkDevice d, const char *name);
static PFN_vkVoidFunction VKAPI_CALL instance_proc(VkInstance i, const char *name);

static PFN_vkVoidFunction mine(const char *name) {
  static const struct { const char *name; void *f; } table[] = {
    {"vkGetInstanceProcAddr", instance_proc}, {"vkGetDeviceProcAddr", device_proc},
    {"vkCreateInstance", create_instance}, {"vkCreateDevice", create_device},
    {"vkCreateFence", create_fence}, {"vkDestroyFence", destroy_fence}, {"vkResetFences", reset_fences},
    {"vkGetFenceStatus", fence_status}, {"vkWaitForFences", wait_fences},
    {"vkCreateSemaphore", create_semaphore}, {"vkDestroySemaphore", destroy_semaphore},
    {"vkGetSemaphoreCounterValue", semaphore_value}, {"vkGetSemaphoreCounterValueKHR", semaphore_value},
    {"vkWaitSemaphores", wait_semaphores}, {"vkWaitSemaphoresKHR", wait_semaphores},
    {"vkSignalSemaphore", signal_semaphore}, {"vkSignalSemaphoreKHR", signal_semaphore},
    {"vkQueueSubmit", submit}, {"vkQueueSubmit2", submit2}, {"vkQueueSubmit2KHR", submit2},
    {"vkGetPhysicalDeviceMemoryProperties", memory_properties}, {"vkGetPhysicalDeviceMemoryProperties2", memory_properties2},
    {"vkGetPhysicalDeviceMemoryProperties2KHR", memory_properties2},
    {"vkAllocateMemory", allocate_memory}, {"vkFreeMemory", free_memory}, {"vkMapMemory", map_memory}, {"vkUnmapMemory", unmap_memory},
    {"vkFlushMappedMemoryRanges", flush_memory}, {"vkInvalidateMappedMemoryRanges", flush_memory},
    {"vkBindBufferMemory", bind_buffer}, {"vkBindBufferMemory2", bind_buffer2}, {"vkBindBufferMemory2KHR", bind_buffer2},
    {"vkCreateBuffer", create_buffer}, {"vkDestroyBuffer", destroy_buffer},
    {"vkGetBufferMemoryRequirements", buffer_requirements}, {"vkGetBufferMemoryRequirements2", buffer_requirements2},
    {"vkGetBufferMemoryRequirements2KHR", buffer_requirements2}, {"vkUpdateDescriptorSets", update_sets},
    {"vkBeginCommandBuffer", begin_commands}, {"vkEndCommandBuffer", end_commands}, {"vkQueueWaitIdle", queue_idle}, {"vkDeviceWaitIdle", device_idle},
    {"vkCreateShaderModule", create_module}, {"vkCreateComputePipelines", create_compute},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (!strcmp(name, table[i].name)) return (PFN_vkVoidFunction)table[i].f;
  return NULL;
}

static PFN_vkVoidFunction VKAPI_CALL device_proc(VkDevice d, const char *name) {
  PFN_vkVoidFunction f = mine(name), next = f ? NULL : next_gdpa(d, name);
  if (next && !strncmp(name, "vkCmd", 5)) return (PFN_vkVoidFunction)no_command;
  return f ? f : next;
}
static PFN_vkVoidFunction VKAPI_CALL instance_proc(VkInstance i, const char *name) {
  PFN_vkVoidFunction f = mine(name);
  return f ? f : next_gipa(i, name);
}

EXPORT VkResult VKAPI_CALL vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *v) {
  v->loaderLayerInterfaceVersion = 2;
  v->pfnGetInstanceProcAddr = instance_proc;
  v->pfnGetDeviceProcAddr = device_proc;
  v->pfnGetPhysicalDeviceProcAddr = NULL;
  return VK_SUCCESS;
}
