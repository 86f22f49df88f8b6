package transfer

import "bytes"

// A chunk is what one request carries.
type chunk struct {
	body  bytes.Buffer
	first int  // of its lines, by the file's number
	n     int  // lines, without a header
	open  bool // in CSV: the last line ends within a cell in quotes
}

// addLine appends a line to the chunk.
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

// isFull reports whether the chunk ends before a line of that many bytes. Within a
// cell it takes half as much again: only a quote that nobody closes is longer, and
// then the API finds the line.
func (c *chunk) isFull(next int) bool {
	lines, size := MaxChunkLines, chunkBytes
	if c.open {
		lines, size = lines+lines/2, size+size/2
	}
	return c.n >= lines || c.body.Len()+next > size
}
