// The part named "file" of a form that is sent (multipart/form-data, RFC 7578), as a stream: forms of uploads hold whole
// disks.

const longestHead = 16 * 1024

/** undefined when the type is no form. */
export function formFile(body: AsyncIterable<Buffer>, contentType: string): AsyncIterable<Buffer> | undefined {
  const found = /^multipart\/form-data;.*boundary=(?:"([^"]{1,70})"|([^;\s]{1,70}))/i.exec(contentType)
  const boundary = found?.[1] ?? found?.[2]
  return boundary ? fileOf(body, Buffer.from(`\r\n--${boundary}`)) : undefined
}

async function* fileOf(body: AsyncIterable<Buffer>, mark: Buffer): AsyncGenerator<Buffer> {
  // The first mark has no line end before it.
  let held: Buffer = Buffer.from('\r\n')
  let isFile = false
  let state: 'preamble' | 'head' | 'content' = 'preamble'
  for await (const chunk of body) {
    held = Buffer.concat([held, chunk])
    for (;;) {
      if (state === 'head') {
        const end = held.indexOf('\r\n\r\n')
        if (held.subarray(0, 2).toString() === '--') return
        if (end < 0 && held.length > longestHead) throw new Error('a part of the form has a head without an end')
        if (end < 0) break
        isFile = /^content-disposition:[^\r\n]*;\s*name="?file"?\s*(;|$)/im.test(held.toString('latin1', 0, end))
        // The line end stays: an empty part ends with it.
        held = held.subarray(end + 2)
        state = 'content'
        if (isFile) held = held.subarray(2)
      }
      const end = held.indexOf(mark)
      const whole = end >= 0 ? end : Math.max(0, held.length - mark.length)
      if (state === 'content' && isFile && whole > 0) yield held.subarray(0, whole)
      if (end < 0) {
        held = held.subarray(whole)
        break
      }
      if (isFile && state === 'content') return
      held = held.subarray(end + mark.length)
      state = 'head'
    }
  }
  throw new Error(isFile ? 'the form ends within its file' : 'the form has no part named "file"')
}
