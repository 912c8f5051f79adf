// SPDX-License-Identifier: Apache-2.0

package app

import (
	"slices"
	"testing"
)

func TestOnlyTheFilesOwnPagesAreGivenBack(t *testing.T) {
	t.Parallel()
	const smaps = `00400000-00f31000 r-xp 00000000 fe:00 10011394                           /usr/bin/microstax
Size:              11460 kB
Rss:                9088 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
00f31000-0195f000 r--p 00b31000 fe:00 10011394                           /usr/bin/microstax
Anonymous:             0 kB
0195f000-01a6a000 r--p 0155f000 fe:00 10011394                           /usr/bin/microstax
Anonymous:            12 kB
01a6a000-01a7a000 rw-p 0155f000 fe:00 10011394                           /usr/bin/microstax
Anonymous:             0 kB
01a7a000-03abb000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f0000000000-7f0000001000 r--p 00000000 fe:00 77                         /usr/lib/other
Anonymous:             0 kB
`
	want := []mapping{{0x400000, 0xf31000}, {0xf31000, 0x195f000}}
	if got := mappings([]byte(smaps), "/usr/bin/microstax"); !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}
