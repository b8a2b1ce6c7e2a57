// What the parts of an import tell each other, written on the claim that is filled, as CDI 1.65 does
// (pkg/controller/common): whoever looks at a claim with CDI's eyes (virtctl image-upload) finds what it expects.

const at = (name: string): string => `cdi.kubevirt.io/${name}`

/** How the work stands, in the words of a Pod's phase. */
export const podPhase = at('storage.pod.phase')
export const podReady = at('storage.pod.ready')
export const podRestarts = at('storage.pod.restarts')
export const runningCondition = at('storage.condition.running')
export const runningMessage = `${runningCondition}.message`
export const runningReason = `${runningCondition}.reason`
/** 'true' after a failure that no new try can mend. */
export const fatalError = at('storage.import.fatalError')
/** '32.14%' or 'N/A'. */
export const populatorProgress = at('storage.populator.progress')
export const contentType = at('storage.contentType')
export const preallocationRequested = at('storage.preallocation.requested')
export const preallocationApplied = at('storage.preallocation')
export const usePopulator = at('storage.usePopulator')
/** The uid of the DataVolume that a claim was made for. */
export const createdForDataVolume = at('createdForDataVolume')
/** The name of the DataVolume that a claim was filled for: nothing is to be done any more. */
export const populatedFor = at('storage.populatedFor')
export const prePopulated = at('storage.prePopulated')
/** On a claim: it may be uploaded into. */
export const uploadTarget = at('storage.upload.target')
/** On a DataVolume: bind and fill its claim although nobody uses it yet. */
export const bindImmediately = at('storage.bind.immediate.requested')
/** A claim of the same name that was there before may become the DataVolume's. */
export const allowClaimAdoption = at('allowClaimAdoption')

/** On a DataImportCron: what its source holds now, when it was looked at last and when it is looked at next. */
export const desiredDigest = at('storage.import.sourceDesiredDigest')
export const lastCronTime = at('storage.import.lastCronTime')
export const nextCronTime = at('storage.import.nextCronTime')
/** The name by which just that content is got. */
export const pinnedReference = at('storage.import.imageStreamDockerRef')

/** Labels. */
export const appLabel = { app: 'containerized-data-importer' }
export const importCronLabel = at('dataImportCron')

/** True for a claim whose content is not there yet: no machine may open it. */
export function isBeingFilled(claim: { metadata: { annotations?: Record<string, string> } }): boolean {
  const { annotations = {} } = claim.metadata
  if (annotations[populatedFor] !== undefined || annotations[podPhase] === 'Succeeded') return false
  return annotations[createdForDataVolume] !== undefined || annotations[uploadTarget] !== undefined
}
