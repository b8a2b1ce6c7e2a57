import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pageText } from './demo.ts'

test('a page in a terminal: rows, no markup, no style', () => {
  const page = `<html><head><title>x</title></head><body><h1>Shop</h1>
    <table><tr><th>Product</th><th>Price</th></tr><tr><td>Bell &amp; lamp</td><td>9.50</td></tr></table>
    <p>By <b>web-1</b></p></body></html>`
  assert.equal(pageText(page), '    Shop\n    Product   Price\n    Bell & lamp   9.50\n    By web-1')
})
