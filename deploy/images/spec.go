package main

// image says what one image holds. Programs and trees come out of Debian packages, whose dependency closure is unpacked
// without being installed; of it only the programs, the trees, and the libraries that they need go into the image.
type image struct {
	Name, Tag string
	Packages  []string          // Debian packages to take from
	Programs  []string          // paths inside the packages
	Trees     []string          // path prefixes inside the packages, taken whole
	Without   []string          // prefixes below Trees that are left out
	Binaries  map[string]string // path in the image -> name of one of our static binaries
	Files     map[string]string // path in the image -> name below files/
	Texts     map[string]string // path in the image -> content
	Links     map[string]string // path in the image -> target
	Dirs      map[string]int64  // path -> mode, for directories that must exist
	Config    config
}

// config is the part of an OCI image configuration that we set.
type config struct {
	User       string   `json:"User,omitempty"`
	Entrypoint []string `json:"Entrypoint,omitempty"`
	Cmd        []string `json:"Cmd,omitempty"`
	Env        []string `json:"Env,omitempty"`
	WorkingDir string   `json:"WorkingDir,omitempty"`
}

// registry is the name the images carry. It needs not exist: nodes get the images loaded.
const registry = "registry.fairlead.test"

const nonRoot = "65532:65532"

// The certificates of certificateTree are joined into certificateBundle, where Go and OpenSSL look, and left out themselves.
const (
	certificateTree   = "/usr/share/ca-certificates"
	certificateBundle = "/etc/ssl/certs/ca-certificates.crt"
)

var users = map[string]string{
	"/etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\npostgres:x:999:999:postgres:/data:/bin/sh\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n",
	"/etc/group":  "root:x:0:\npostgres:x:999:\nnonroot:x:65532:\n",
}

// fileSystemTools are what the node plugin runs: see pkg/disk.
var fileSystemTools = []string{
	"/sbin/blkid", "/sbin/blockdev", "/bin/mount", "/bin/umount", "/bin/findmnt", "/sbin/fsck",
	"/sbin/mke2fs", "/sbin/mkfs.ext4", "/sbin/e2fsck", "/sbin/fsck.ext4", "/sbin/resize2fs", "/sbin/dumpe2fs", "/sbin/tune2fs",
	"/sbin/mkfs.xfs", "/sbin/xfs_repair", "/usr/sbin/xfs_growfs", "/usr/sbin/xfs_io", "/usr/sbin/xfs_db", "/usr/sbin/xfs_spaceman",
}

func images() []image {
	sidecar := func(name, tag string) image {
		return image{
			Name: name, Tag: tag,
			Binaries: map[string]string{"/" + name: name},
			Texts:    users,
			Config:   config{User: nonRoot, Entrypoint: []string{"/" + name}},
		}
	}
	return []image{
		{
			Name: "pause", Tag: "1",
			Binaries: map[string]string{"/pause": "pause"},
			Config:   config{User: "65535:65535", Entrypoint: []string{"/pause"}},
		},
		{
			Name: "busybox", Tag: "1",
			Packages: []string{"busybox-static"},
			Programs: []string{"/bin/busybox"},
			Texts:    users,
			Links: applets("sh", "cat", "echo", "ls", "sleep", "dd", "df", "sync", "md5sum", "sha256sum", "mkdir", "rm", "touch", "stat", "id",
				"grep", "head", "tail", "wc", "seq", "date", "true", "false", "test", "httpd", "nc", "hostname", "env", "kill", "ps", "mount"),
			Dirs:   map[string]int64{"/tmp": 0o1777, "/proc": 0o755, "/sys": 0o755, "/dev": 0o755},
			Config: config{Cmd: []string{"sh"}, Env: []string{"PATH=/bin"}},
		},
		{
			Name: "fairlead-csi", Tag: "dev",
			Packages: []string{"e2fsprogs", "xfsprogs", "util-linux", "util-linux-extra", "mount", "ca-certificates"},
			Programs: fileSystemTools,
			Trees:    []string{"/etc/mke2fs.conf", certificateTree},
			Binaries: map[string]string{"/fairlead-csi": "fairlead-csi"},
			Texts:    users,
			Dirs:     map[string]int64{"/tmp": 0o1777, "/proc": 0o755, "/sys": 0o755, "/dev": 0o755, "/run": 0o755},
			Config: config{User: nonRoot, Entrypoint: []string{"/fairlead-csi"},
				Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}},
		},
		{
			Name: "fairlead-ccm", Tag: "dev",
			Packages: []string{"ca-certificates"},
			Trees:    []string{certificateTree},
			Binaries: map[string]string{"/fairlead-ccm": "fairlead-ccm"},
			Texts:    users,
			Dirs:     map[string]int64{"/tmp": 0o1777},
			Config:   config{User: nonRoot, Entrypoint: []string{"/fairlead-ccm"}},
		},
		sidecar("csi-provisioner", "v6.3.0"),
		sidecar("csi-attacher", "v4.13.0"),
		sidecar("csi-resizer", "v2.3.0"),
		postgres(),
	}
}

func postgres() image {
	const bin, lib, share = "/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/15/lib", "/usr/share/postgresql/15"
	return image{
		Name: "postgres", Tag: "15",
		Packages: []string{"postgresql-15", "bash", "coreutils", "findutils", "tzdata", "libc-bin"},
		Programs: []string{bin + "/postgres", bin + "/initdb", bin + "/psql", bin + "/pg_isready", "/bin/bash", "/bin/mkdir", "/bin/chmod", "/bin/touch",
			"/bin/sync", "/bin/cat", "/bin/df", "/bin/date", "/bin/ls", "/bin/sleep", "/usr/bin/find", "/usr/bin/id", "/usr/bin/env"},
		Trees:   []string{lib, share, "/usr/share/zoneinfo", "/usr/lib/locale/C.utf8"},
		Without: []string{"/usr/share/zoneinfo/localtime", "/usr/share/zoneinfo/right", "/usr/share/zoneinfo/posix", lib + "/bitcode", lib + "/llvmjit", share + "/man"},
		Files:   map[string]string{"/entrypoint.sh": "postgres-entrypoint.sh"},
		Texts:   users,
		Links:   map[string]string{"/bin/sh": "bash"},
		Dirs:    map[string]int64{"/tmp": 0o1777, "/proc": 0o755, "/sys": 0o755, "/dev": 0o755, "/data": 0o777, "/run": 0o755},
		Config: config{User: "999:999", Entrypoint: []string{"/entrypoint.sh"}, WorkingDir: "/",
			Env: []string{"PATH=" + bin + ":/usr/bin:/bin", "LANG=C.UTF-8", "PGDATA=/data/pgdata", "PGHOST=/tmp"}},
	}
}

func applets(names ...string) map[string]string {
	links := map[string]string{}
	for _, n := range names {
		links["/bin/"+n] = "busybox"
	}
	return links
}
