// OCI images on this machine: present or pulled, for containers and for VM disks alike. Contract with pods and machines.

export interface ImagePullAuth {
  username?: string
  password?: string
  auth?: string
  serverAddress?: string
  identityToken?: string
  registryToken?: string
}

export interface Image {
  /** Digest of the image config, "sha256:…": the CRI image id. */
  id: string
  repoTags: string[]
  repoDigests: string[]
  sizeBytes: number
}

/** Thrown by the Images methods; `reason` is what goes into waiting.reason and Events. */
export class ImageError extends Error {
  readonly reason: 'ErrImagePull' | 'ErrImageNeverPull' | 'InvalidImageName' | 'ImageInspectError' | 'InvalidImage'
  constructor(reason: ImageError['reason'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ImageError'
    this.reason = reason
  }
}

export interface ContainerDiskFile {
  /** Absolute path of the disk image below the state directory: read-only, shared by all VMs of the image. */
  path: string
  /** Proved by looking at the file with qemu-img under limits; never "auto". */
  format: 'raw' | 'qcow2'
  /** Bytes the guest sees. */
  virtualSize: number
  image: Image
}

export interface Images {
  list(): Promise<Image[]>
  /** undefined when it is not on this machine. */
  find(name: string): Promise<Image | undefined>
  /** @throws ImageError */
  pull(name: string, auths: ImagePullAuth[]): Promise<Image>
  remove(name: string): Promise<void>
  /** Imports a docker-archive or an OCI layout tarball; the names it now has. @throws ImageError */
  load(path: string): Promise<Image[]>
  /**
   * The disk in /disk of the image (or at `path` inside it), unpacked once and kept by digest.
   * @throws ImageError when there is no disk, more than one, or the file is not a disk image that may be used
   * (a backing file or external data file is refused).
   */
  containerDisk(name: string, path?: string): Promise<ContainerDiskFile>
  /** One file of the image as it is (a kernel), unpacked once and kept by digest. @throws ImageError */
  fileOf(name: string, path: string): Promise<string>
}
