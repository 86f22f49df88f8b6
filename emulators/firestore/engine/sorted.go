package engine

import "slices"

// blockSize is the number of entries at which a block of a sorted list is split
// in two. It is small enough to shift a block cheaply and large enough to need
// few blocks.
const blockSize = 256

// An entry of an index holds the encoded values of a document.
type entry struct {
	key string
	doc *document
}

func (a entry) compareTo(b entry) int {
	if a.key != b.key {
		if a.key < b.key {
			return -1
		}
		return 1
	}
	if a.doc == b.doc {
		return 0
	}
	return compareIDs(a.doc.id(), b.doc.id())
}

// A sorted list keeps its entries ordered, in blocks. A search bisects the
// blocks and then one block. It is more compact than a tree (it has no pointer
// per entry) and faster to walk. It keeps equal entries as often as they were
// inserted.
type sorted struct {
	blocks [][]entry
	len    int
}

// A place is a position in a sorted list.
type place struct{ block, i int }

// findFirst returns the first place whose entry satisfies f, or the place after
// the last entry. f must stay true from that place on.
func (s *sorted) findFirst(f func(entry) bool) place {
	lo, hi := 0, len(s.blocks)
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if b := s.blocks[m]; f(b[len(b)-1]) {
			hi = m
		} else {
			lo = m + 1
		}
	}
	if lo == len(s.blocks) {
		return place{lo, 0}
	}

	b := s.blocks[lo]
	i, j := 0, len(b)-1
	for i < j {
		m := int(uint(i+j) >> 1)
		if f(b[m]) {
			j = m
		} else {
			i = m + 1
		}
	}

	return place{lo, i}
}

// entryAt returns the entry at p. ok is false outside of the list.
func (s *sorted) entryAt(p place) (entry, bool) {
	if p.block < 0 || p.block >= len(s.blocks) {
		return entry{}, false
	}
	return s.blocks[p.block][p.i], true
}

func (s *sorted) next(p place) place {
	if p.i+1 < len(s.blocks[p.block]) {
		return place{p.block, p.i + 1}
	}
	return place{p.block + 1, 0}
}

// previous returns the place before p. p may be the place after the last entry.
func (s *sorted) previous(p place) place {
	if p.i > 0 {
		return place{p.block, p.i - 1}
	}
	if p.block == 0 {
		return place{-1, 0}
	}
	return place{p.block - 1, len(s.blocks[p.block-1]) - 1}
}

func (s *sorted) insert(e entry) {
	s.len++
	if len(s.blocks) == 0 {
		s.blocks = [][]entry{{e}}
		return
	}

	p := s.findFirst(func(x entry) bool { return x.compareTo(e) >= 0 })
	if p.block == len(s.blocks) {
		s.append(e)
		return
	}

	s.blocks[p.block] = slices.Insert(s.blocks[p.block], p.i, e)
	if b := s.blocks[p.block]; len(b) > blockSize {
		right := slices.Clone(b[len(b)/2:])
		clear(b[len(b)/2:])
		s.blocks[p.block] = slices.Clone(b[:len(b)/2])
		s.blocks = slices.Insert(s.blocks, p.block+1, right)
	}
}

// append adds e at the end. It does not split a full last block, because
// entries that arrive in order are never inserted into it again.
func (s *sorted) append(e entry) {
	last := len(s.blocks) - 1
	if len(s.blocks[last]) < blockSize {
		s.blocks[last] = append(s.blocks[last], e)
		return
	}
	s.blocks[last] = slices.Clip(s.blocks[last])
	s.blocks = append(s.blocks, []entry{e})
}

// remove takes out one entry that is equal to e.
func (s *sorted) remove(e entry) {
	p := s.findFirst(func(x entry) bool { return x.compareTo(e) >= 0 })
	if x, ok := s.entryAt(p); !ok || x.compareTo(e) != 0 {
		return
	}

	s.len--
	b := slices.Delete(s.blocks[p.block], p.i, p.i+1)
	s.blocks[p.block] = b
	switch {
	case len(b) == 0:
		s.blocks = slices.Delete(s.blocks, p.block, p.block+1)
	case len(b) < blockSize/4 && p.block+1 < len(s.blocks) && len(s.blocks[p.block+1]) < blockSize/4:
		s.blocks[p.block] = append(b, s.blocks[p.block+1]...)
		s.blocks = slices.Delete(s.blocks, p.block+1, p.block+2)
	}
}

// loadOrdered fills an empty list with ordered entries.
func (s *sorted) loadOrdered(es []entry) {
	s.len = len(es)
	for b := range slices.Chunk(es, blockSize*3/4) {
		s.blocks = append(s.blocks, slices.Clone(b))
	}
}
