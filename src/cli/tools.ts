// What the commands need of the rooms that the CLI does not know: main.ts hands it in.

import type { Config } from '../config.ts'

export interface ImageSummary {
  names: string[]
  id: string
  sizeBytes: number
}

/** Images of one state directory, while Tandem runs or not. */
export interface ImageTools {
  list(): Promise<ImageSummary[]>
  load(path: string): Promise<ImageSummary[]>
  remove(name: string): Promise<void>
  close(): Promise<void>
}

export interface BuildResult {
  /** The archive. */
  path: string
  names: string[]
  digest: string
}

export interface Tools {
  /** Runs Tandem in this process until it is told to stop. */
  serve(config: Config): Promise<void>
  /** The real server over a store in memory with a host that only pretends: no root, nothing installed. */
  dev(options: { listen: { host: string; port: number }; store?: string; kubeconfig?: string }): Promise<void>
  /** Stops everything that a stopped Tandem left running, and removes what it made outside its state directory. */
  removeEverything(config: Config, onStep: (step: string) => void): Promise<void>
  openImages(config: Config): Promise<ImageTools>
  buildImage(recipe: string, output: string | undefined, onProgress: (line: string) => void): Promise<BuildResult>
  /** Folder of the program: examples/ and images/ are in it. */
  home: string
  version: string
}
