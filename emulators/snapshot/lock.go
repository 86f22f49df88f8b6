package snapshot

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// lockName is the name of the file that is locked. It is never removed: a process could lock a
// file that another one has just removed, and a third one a new file of the same name.
const lockName = "lock"

// errLocked is the error of a file that another process has locked.
var errLocked = errors.New("locked by another process")

// A Lock is the exclusive right of this process to a folder. The system ends it with the process,
// however that ends.
type Lock struct{ file *os.File }

// LockFolder makes the folder if it does not exist, and locks it. It fails at once if another
// process has it, and the error names that process.
func LockFolder(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}

	if err := lockFile(f); err != nil {
		owner, _ := io.ReadAll(io.LimitReader(f, 20)) // it only makes the message better
		f.Close()
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("the folder %s is in use by the process %s: end it, or use another folder", dir, strings.TrimSpace(string(owner)))
		}
		return nil, fmt.Errorf("locking the folder %s: %w", dir, err)
	}

	if err := writeOwner(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking the folder %s: %w", dir, err)
	}
	return &Lock{f}, nil
}

// writeOwner writes the id of this process into the file.
func writeOwner(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintln(f, os.Getpid())
	return err
}

// Release ends the lock.
func (l *Lock) Release() { l.file.Close() }
