package engine

import "hash/maphash"

// A register finds documents by their paths. It is a hash table that stores
// only the pointer, because the document holds its own path. This takes a third
// of the memory of a map. It has many shards, so that growing one shard is
// always short.
type register struct {
	seed   maphash.Seed
	shards [64]shard
}

// A shard is a hash table with open addressing. It is at most three quarters
// full.
type shard struct {
	slots []*document
	used  int
}

func newRegister() *register { return &register{seed: maphash.MakeSeed()} }

// locate returns the shard of a path and the hash that finds the path in it.
func (r *register) locate(path string) (*shard, uint64) {
	h := maphash.String(r.seed, path)
	return &r.shards[h>>58], h
}

// get returns the document at a path, or nil.
func (r *register) get(path string) *document {
	s, h := r.locate(path)
	if s.used == 0 {
		return nil
	}
	return s.slots[s.findSlot(path, h)]
}

// findSlot returns the slot of a path, or the empty slot where the path belongs.
func (s *shard) findSlot(path string, h uint64) uint64 {
	mask := uint64(len(s.slots) - 1)
	i := h & mask
	for s.slots[i] != nil && s.slots[i].path != path {
		i = (i + 1) & mask
	}
	return i
}

// put adds a document. The register must not hold its path yet.
func (r *register) put(d *document) {
	s, h := r.locate(d.path)
	if s.used*4 >= len(s.slots)*3 {
		old := s.slots
		s.slots = make([]*document, max(8, 2*len(old)))
		for _, x := range old {
			if x != nil {
				_, h := r.locate(x.path)
				s.slots[s.findSlot(x.path, h)] = x
			}
		}
	}

	s.slots[s.findSlot(d.path, h)] = d
	s.used++
}

// each calls do with each document.
func (r *register) each(do func(*document)) {
	for i := range r.shards {
		for _, d := range r.shards[i].slots {
			if d != nil {
				do(d)
			}
		}
	}
}

// remove takes a document out and moves the entries behind it, so that findSlot
// still reaches the entries that collided with it.
func (r *register) remove(d *document) {
	s, h := r.locate(d.path)
	if s.used == 0 {
		return
	}

	gap := s.findSlot(d.path, h)
	if s.slots[gap] == nil {
		return
	}

	s.used--
	s.slots[gap] = nil
	mask := uint64(len(s.slots) - 1)
	for i := (gap + 1) & mask; s.slots[i] != nil; i = (i + 1) & mask {
		x := s.slots[i]
		s.slots[i] = nil
		_, h := r.locate(x.path)
		s.slots[s.findSlot(x.path, h)] = x
	}
}
