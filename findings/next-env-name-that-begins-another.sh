#!/usr/bin/env bash
# @next/env 16.4.6 (what Next.js 16.4.6 reads .env with), Node 20.
# A reference to a variable whose name begins the name of another one is put into that other reference:
# of HOST_NAME=db, HOST=h, URL=$HOST_NAME/$HOST the value of URL is "h_NAME/h", where "db/h" was meant.
# References are replaced from the last one on, but as text, which meets the first place where it occurs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit @next/env@16.4.6
printf 'HOST_NAME=db\nHOST=h\nURL=$HOST_NAME/$HOST\nSAME=$HOST/$HOST_NAME\n' > .env
seen=$(node -e '
const { parsedEnv } = require("@next/env").loadEnvConfig(process.cwd(), true, { info() {}, error() {} });
console.log(`${parsedEnv.URL} ${parsedEnv.SAME}`)')
echo "URL and SAME: $seen"
[ "$seen" = "h_NAME/h h/db" ]
