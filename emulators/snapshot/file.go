package snapshot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// unfinished is the ending of the name of a file that is being written. A process that is killed
// leaves it, and the next Prepare of the same file replaces it.
const unfinished = ".unfinished"

// A Prepared file is written and on the disk, but does not have its name yet.
type Prepared struct{ path string }

// Prepare writes what will be the content of the file at path beside it, and waits until it is
// on the disk. The file at path stays as it is until Commit. If write fails, or the disk does,
// nothing is left. Only one process may prepare files in a folder at the same time (Lock).
func Prepare(path string, write func(io.Writer) error) (*Prepared, error) {
	p := &Prepared{path: path}
	if err := writeDurably(path+unfinished, write); err != nil {
		p.Discard()
		return nil, fmt.Errorf("writing %s: %w", path, err)
	}
	return p, nil
}

// writeDurably writes a new file, and returns when it is on the disk.
func writeDurably(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}

	err = write(f)
	if err == nil {
		err = f.Sync() // a rename may reach the disk before the content does
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// Commit gives the file its name, in one step: whenever the process or the machine stops, the
// name has the old content or the new one.
func (p *Prepared) Commit() error {
	if err := os.Rename(p.path+unfinished, p.path); err != nil {
		return fmt.Errorf("replacing %s: %w", p.path, err)
	}
	if err := syncFolder(filepath.Dir(p.path)); err != nil {
		return fmt.Errorf("replacing %s: %w", p.path, err)
	}
	return nil
}

// Discard removes what Prepare has written. After Commit it does nothing.
func (p *Prepared) Discard() {
	_ = os.Remove(p.path + unfinished) // the next Prepare replaces it anyway
}

// Load calls read with the content of the file at path. It returns false if there is no such
// file.
func Load(path string, read func(io.Reader) error) (found bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	return true, read(f)
}
