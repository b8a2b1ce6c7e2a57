// Devices: claims are made from templates, and Pods say why they wait; a claim for one Pod serves one Pod.

import { test } from 'node:test'
import type { ApiObject, ResourceRef } from '../api/meta.ts'
import { resourceClaimTemplate } from '../kinds/resource/resourceclaimtemplate.ts'
import { startTestPlatform } from './platform.fixture.ts'
import { persistentVolumeClaims, pods } from './resources.ts'

const resource = (plural: string): ResourceRef => ({ group: 'resource.k8s.io', version: 'v1', resource: plural })

const pod = (name: string, spec: object): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
})

test('a Pod gets its claim and waits for a driver', async (context) => {
  const { client, untilAll, until, untilEvents, stop } = await startTestPlatform()
  context.after(stop)
  await client.create(pods, pod('user', { resourceClaims: [{ name: 'gpu', resourceClaimTemplateName: 'gpu' }] }))
  await untilEvents('FailedResourceClaimCreation', [/resource claim template "gpu": not found/])
  await client.create(resource('resourceclaimtemplates'), resourceClaimTemplate.example)
  const [claim] = await untilAll(resource('resourceclaims'), (all) => all.length === 1)
  const name = claim!.metadata.name
  await until(pods, 'default/user', (one) => one?.status?.resourceClaimStatuses?.[0]?.resourceClaimName === name)
  await untilEvents('FailedScheduling', [/cannot allocate all claims: no driver of devices runs here/])
  await client.delete(pods, 'user', 'default')
  await untilAll(resource('resourceclaims'), (all) => all.length === 0)
})

test('of two Pods with a ReadWriteOncePod claim one waits for the other to go', async (context) => {
  const { client, until, untilEvents, stop } = await startTestPlatform()
  context.after(stop)
  await client.create(persistentVolumeClaims, {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'one', namespace: 'default' },
    spec: { accessModes: ['ReadWriteOncePod'], resources: { requests: { storage: '1Gi' } } },
  })
  const volumes = [{ name: 'v', persistentVolumeClaim: { claimName: 'one' } }]
  const runs = (one: any) => one?.status?.phase === 'Running'
  await client.create(pods, pod('first', { volumes }))
  await until(pods, 'default/first', runs)
  await client.create(pods, pod('second', { volumes }))
  await untilEvents('FailedScheduling', [/with the same name and ReadWriteOncePod access mode/])
  await client.delete(pods, 'first', 'default')
  await until(pods, 'default/second', runs)
})
