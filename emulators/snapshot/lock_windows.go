package snapshot

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockedByte is the place of the byte that is locked. It is behind the content of the file,
// because other processes cannot read a locked byte.
const lockedByte = 1 << 20

// lockFile locks a file until it is closed.
func lockFile(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, &windows.Overlapped{Offset: lockedByte})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errLocked
	}
	return err
}

// syncFolder does nothing: Windows cannot flush a folder.
func syncFolder(string) error { return nil }
