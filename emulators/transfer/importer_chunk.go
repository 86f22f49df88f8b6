package transfer

import "bytes"

// A chunk is the body of one request.
type chunk struct {
	body  bytes.Buffer
	first int  // number of its first line in the file
	n     int  // number of lines, without the header
	open  bool // the last line of a CSV ends within a quoted cell
}

// addLine appends a line to the chunk, and the header before the first line.
func (c *chunk) addLine(line []byte, im *Importer) {
	if c.n == 0 {
		c.first = im.lines
		c.body.Write(im.header)
	}
	c.body.Write(line)
	c.body.WriteByte('\n')
	c.n++
	if im.header != nil && bytes.Count(line, []byte{'"'})%2 == 1 {
		c.open = !c.open
	}
}

// isFull reports whether the chunk must end before a line of that many bytes. Within a
// quoted cell the limits are 50 % higher, so that the cell is not split. Only a quote
// that is never closed exceeds them, and the API then reports the line.
func (c *chunk) isFull(next int) bool {
	lines, size := MaxChunkLines, chunkBytes
	if c.open {
		lines, size = lines+lines/2, size+size/2
	}
	return c.n >= lines || c.body.Len()+next > size
}
