// The database of known vulnerabilities. No package of it is built: the files
// of the module are the database, at the version that is named here.
module github.com/kuda-io/kuda/hack/tools/vulndb

go 1.26.0

toolchain go1.26.11

require golang.org/x/vulndb v0.0.0-20261105234957-e22db6528018
