// Objects as rows: the meta.k8s.io/v1 Table that kubectl get asks for. The server converts, clients only print.

import { jsonPath, valueText } from './jsonpath.ts'
import type { Column } from './kind.ts'
import type { ApiObject } from './meta.ts'
import { humanDuration, parseTime } from './time.ts'

export type IncludeObject = 'None' | 'Metadata' | 'Object'

export interface TableColumn {
  name: string
  type: string
  format: string
  description: string
  priority: number
}

export interface TableRow {
  cells: unknown[]
  object?: object
}

export interface Table {
  kind: 'Table'
  apiVersion: string
  metadata: { resourceVersion?: string; continue?: string; remainingItemCount?: number }
  /** Null in the later events of a watch, which the client reads with the columns of the first. */
  columnDefinitions: TableColumn[] | null
  rows: TableRow[]
}

export interface TableOptions {
  /** The server's clock in ms. */
  now: number
  includeObject?: IncludeObject
  /** 'meta.k8s.io/v1' unless the client asked for v1beta1. */
  apiVersion?: string
  metadata?: Table['metadata']
  /** For the rows of a watch after the first one: no column definitions. */
  noHeaders?: boolean
}

const nameColumn: TableColumn = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name of the object, unique within its namespace.',
  priority: 0,
}

/** The columns as a Table announces them; Name comes first unless the kind declares it. */
export function tableColumns(columns: readonly Column[]): TableColumn[] {
  const declared = columns.map((column) => ({
    name: column.name,
    type: column.type,
    format: column.format ?? '',
    description: column.description ?? '',
    priority: column.priority ?? 0,
  }))
  return declaresName(columns) ? declared : [nameColumn, ...declared]
}

/** Events put their name last; a StorageClass writes more than its name. */
const declaresName = (columns: readonly Column[]): boolean => columns.some((column) => column.name === 'Name')

export function toTable(objects: readonly ApiObject[], columns: readonly Column[], options: TableOptions): Table {
  const { apiVersion = 'meta.k8s.io/v1', metadata = {} } = options
  return {
    kind: 'Table',
    apiVersion,
    metadata,
    columnDefinitions: options.noHeaders ? null : tableColumns(columns),
    rows: objects.map((object) => tableRow(object, columns, options)),
  }
}

/** One row: its cells, and as much of the object as was asked for. */
export function tableRow(object: ApiObject, columns: readonly Column[], options: TableOptions): TableRow {
  const cells = declaresName(columns) ? [] : [object.metadata.name ?? '']
  for (const column of columns) cells.push(cellOf(object, column, options.now) as string)
  switch (options.includeObject ?? 'Metadata') {
    case 'None':
      return { cells }
    case 'Object':
      return { cells, object }
    default:
      return {
        cells,
        object: {
          kind: 'PartialObjectMetadata',
          apiVersion: options.apiVersion ?? 'meta.k8s.io/v1',
          metadata: object.metadata,
        },
      }
  }
}

function cellOf(object: ApiObject, column: Column, now: number): unknown {
  const value = typeof column.value === 'function' ? column.value(object, now) : jsonPath(column.value)(object)[0]
  if (value === undefined || value === null) return null
  switch (column.type) {
    case 'date':
      return typeof value === 'string' ? ageText(value, now) : null
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : typeof value === 'string' ? value : null
    case 'number':
      return typeof value === 'number' ? value : null
    case 'boolean':
      // Built-in kinds may word it ('True', '<unset>'), as upstream's printers do.
      return typeof value === 'boolean' || typeof column.value === 'function' ? value : null
    default:
      return valueText(value)
  }
}

/** How long ago: '5s', '3m20s', '47h'. A text that is no time (already an age, '<unknown>') stays as it is. */
export function ageText(time: string | undefined | null, now: number): string {
  if (!time) return '<unknown>'
  const at = parseTime(time)
  if (at === undefined) return /^\d{4}-/.test(time) ? '<invalid>' : time
  return humanDuration(now - at)
}

/** The Age column that most kinds end with. */
export const ageColumn: Column = {
  name: 'Age',
  type: 'string',
  description: 'Time since the object was created.',
  value: (object, now) => ageText(object.metadata.creationTimestamp, now),
}
