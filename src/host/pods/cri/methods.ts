// The calls of CRI v1 that Tandem makes: request, answer, and how long an answer may take.

import type { Message } from '../../../wire/protobuf.ts'
import * as m from './messages.ts'

export interface Method<I extends Message = Message, O extends Message = Message> {
  service: 'RuntimeService' | 'ImageService'
  name: string
  input: I
  output: O
  deadlineMs: number
}

const second = 1000
const minute = 60 * second

const runtime = <I extends Message, O extends Message>(
  name: string,
  input: I,
  output: O,
  deadlineMs = 2 * minute,
): Method<I, O> => ({ service: 'RuntimeService', name, input, output, deadlineMs })

const image = <I extends Message, O extends Message>(
  name: string,
  input: I,
  output: O,
  deadlineMs = 2 * minute,
): Method<I, O> => ({ service: 'ImageService', name, input, output, deadlineMs })

export const methods = {
  version: runtime('Version', m.VersionRequest, m.VersionResponse, 5 * second),
  status: runtime('Status', m.StatusRequest, m.StatusResponse, 10 * second),
  runPodSandbox: runtime('RunPodSandbox', m.RunPodSandboxRequest, m.PodSandboxId, 4 * minute),
  stopPodSandbox: runtime('StopPodSandbox', m.PodSandboxId, m.Empty),
  removePodSandbox: runtime('RemovePodSandbox', m.PodSandboxId, m.Empty),
  podSandboxStatus: runtime('PodSandboxStatus', m.PodSandboxStatusRequest, m.PodSandboxStatusResponse),
  listPodSandbox: runtime('ListPodSandbox', m.ListPodSandboxRequest, m.ListPodSandboxResponse),
  createContainer: runtime('CreateContainer', m.CreateContainerRequest, m.ContainerId, 4 * minute),
  startContainer: runtime('StartContainer', m.ContainerId, m.Empty),
  stopContainer: runtime('StopContainer', m.StopContainerRequest, m.Empty),
  removeContainer: runtime('RemoveContainer', m.ContainerId, m.Empty),
  listContainers: runtime('ListContainers', m.ListContainersRequest, m.ListContainersResponse),
  containerStatus: runtime('ContainerStatus', m.ContainerStatusRequest, m.ContainerStatusResponse),
  updateContainerResources: runtime('UpdateContainerResources', m.UpdateContainerResourcesRequest, m.Empty),
  reopenContainerLog: runtime('ReopenContainerLog', m.ContainerId, m.Empty),
  execSync: runtime('ExecSync', m.ExecSyncRequest, m.ExecSyncResponse),
  exec: runtime('Exec', m.ExecRequest, m.StreamingUrl),
  attach: runtime('Attach', m.AttachRequest, m.StreamingUrl),
  portForward: runtime('PortForward', m.PortForwardRequest, m.StreamingUrl),
  listContainerStats: runtime('ListContainerStats', m.ListContainerStatsRequest, m.ListContainerStatsResponse),
  listImages: image('ListImages', m.ListImagesRequest, m.ListImagesResponse),
  imageStatus: image('ImageStatus', m.ImageStatusRequest, m.ImageStatusResponse),
  pullImage: image('PullImage', m.PullImageRequest, m.PullImageResponse, 60 * minute),
  removeImage: image('RemoveImage', m.RemoveImageRequest, m.Empty),
  imageFsInfo: image('ImageFsInfo', m.Empty, m.ImageFsInfoResponse),
} as const

export type Methods = typeof methods
