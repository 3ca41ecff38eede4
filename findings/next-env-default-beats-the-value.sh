#!/usr/bin/env bash
# @next/env 16.4.6 (what Next.js 16.4.6 reads .env with), Node 20.
# The default of ${PORT:-3000} is taken although the same file sets PORT above: of PORT=4000, URL=http://h:${PORT:-3000}
# the value of URL is http://h:3000. With PORT in the process environment it is that value, and ${PORT} alone is 4000.
# A shell, Docker Compose and python-dotenv take the default only where the variable is not set.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit @next/env@16.4.6
printf 'PORT=4000\nURL=http://h:${PORT:-3000}\nPLAIN=http://h:${PORT}\n' > .env
read_env='
const { parsedEnv } = require("@next/env").loadEnvConfig(process.cwd(), true, { info() {}, error() {} });
console.log(`${parsedEnv.URL} ${parsedEnv.PLAIN}`)'
seen=$(env -u PORT node -e "$read_env")
echo "URL and PLAIN: $seen"
[ "$seen" = "http://h:3000 http://h:4000" ]
