// The configuration file of Tandem's own containerd, as text. Facts: containerd 1.6 configuration version 2.

export interface RuntimeHandler {
  /** "io.containerd.runc.v2" */
  type: string
  options?: Record<string, string | boolean>
  /** Annotations of Pods that it is told of. */
  podAnnotations?: string[]
}

/** Each layer goes through it before it is unpacked (host/images/layer-filter.ts). */
export interface LayerFilter {
  path: string
  args: string[]
  env: string[]
}

export interface ContainerdSettings {
  root: string
  state: string
  socket: string
  /** Image that holds each Pod's namespaces; it must be on the machine, nobody pulls it. */
  sandboxImage: string
  cni: { confDir: string; binDir: string }
  /** Directories with one folder per registry (hosts.toml), first match wins. */
  registryDirs: string[]
  /** By the name that RuntimeClass.handler uses; 'runc' is the default. */
  runtimes: Record<string, RuntimeHandler>
  layerFilter: LayerFilter
}

const plainLayer = 'application/vnd.oci.image.layer.v1.tar'

/** What containerd 1.6 can unpack. Other names that it would take, too, are refused when the image is there. */
const layerTypes = [
  ...['', '+gzip', '+zstd'].flatMap((packing) => [
    `${plainLayer}${packing}`,
    `application/vnd.oci.image.layer.nondistributable.v1.tar${packing}`,
  ]),
  ...['', '.gzip', '.zstd'].map((packing) => `application/vnd.docker.image.rootfs.diff.tar${packing}`),
  ...['', '.gzip'].map((packing) => `application/vnd.docker.image.rootfs.foreign.diff.tar${packing}`),
]

function filterTable({ path, args, env }: LayerFilter): string[] {
  return [
    '',
    '[stream_processors."dev.tandem.layers"]',
    `accepts = ${JSON.stringify(layerTypes)}`,
    `returns = ${quoted(plainLayer)}`,
    `path = ${quoted(path)}`,
    `args = ${JSON.stringify(args)}`,
    `env = ${JSON.stringify(env)}`,
  ]
}

/**
 * Not used here, and each costs start time, a directory outside of the state directory or a timer. `restart` would also
 * start programs of this machine that the labels of an image name, which containerd gives to containers (CVE-2026-53488).
 */
const disabled = [
  'io.containerd.snapshotter.v1.aufs',
  'io.containerd.snapshotter.v1.btrfs',
  'io.containerd.snapshotter.v1.devmapper',
  'io.containerd.snapshotter.v1.zfs',
  'io.containerd.internal.v1.opt',
  'io.containerd.internal.v1.restart',
  'io.containerd.internal.v1.tracing',
  'io.containerd.tracing.processor.v1.otlp',
]

/** A TOML basic string: JSON's escapes are a subset of TOML's. */
const quoted = (text: string): string => JSON.stringify(text)

function runtimeTable(name: string, handler: RuntimeHandler): string[] {
  const table = `plugins."io.containerd.grpc.v1.cri".containerd.runtimes.${quoted(name)}`
  const options = Object.entries(handler.options ?? {})
  return [
    '',
    `[${table}]`,
    `runtime_type = ${quoted(handler.type)}`,
    ...(handler.podAnnotations ? [`pod_annotations = ${JSON.stringify(handler.podAnnotations)}`] : []),
    ...(options.length ? ['', `[${table}.options]`] : []),
    ...options.map(([key, value]) => `${key} = ${JSON.stringify(value)}`),
  ]
}

export function containerdConfig(settings: ContainerdSettings): string {
  const lines = [
    '# Written by Tandem at every start; changes are lost.',
    'version = 2',
    `root = ${quoted(settings.root)}`,
    `state = ${quoted(settings.state)}`,
    'disabled_plugins = [',
    ...disabled.map((plugin) => `  ${quoted(plugin)},`),
    ']',
    '',
    '[grpc]',
    `address = ${quoted(settings.socket)}`,
    '',
    '[plugins."io.containerd.grpc.v1.cri"]',
    `sandbox_image = ${quoted(settings.sandboxImage)}`,
    // Where root may not lower OOM scores (no CAP_SYS_RESOURCE), every sandbox would fail without it.
    'restrict_oom_score_adj = true',
    // exec, attach and port-forward: asked for by Tandem only, on a port of the kernel's choice.
    'stream_server_address = "127.0.0.1"',
    'stream_server_port = "0"',
    'stream_idle_timeout = "4h0m0s"',
    // Keeps the namespaces of Pods below our own run directory instead of the shared /run/netns.
    'netns_mounts_under_state_dir = true',
    'max_concurrent_downloads = 3',
    '',
    '[plugins."io.containerd.grpc.v1.cri".cni]',
    `bin_dir = ${quoted(settings.cni.binDir)}`,
    `conf_dir = ${quoted(settings.cni.confDir)}`,
    'max_conf_num = 1',
    '',
    '[plugins."io.containerd.grpc.v1.cri".registry]',
    `config_path = ${quoted(settings.registryDirs.join(':'))}`,
    '',
    '[plugins."io.containerd.grpc.v1.cri".containerd]',
    'default_runtime_name = "runc"',
    'snapshotter = "overlayfs"',
  ]
  for (const [name, handler] of Object.entries(settings.runtimes)) lines.push(...runtimeTable(name, handler))
  lines.push(...filterTable(settings.layerFilter))
  return `${lines.join('\n')}\n`
}
