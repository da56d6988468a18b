# Honeycomb OS: the one static boot script for U-Boot. Made into boot.scr by
#   mkimage -T script -C none -d boot.cmd boot.scr
#
# Needs the commands load, test (with -e), env import, booti (or bootz), sleep and reset, and what U-Boot's standard boot
# sets: devtype, devnum, distro_bootpart, kernel_addr_r, ramdisk_addr_r, scriptaddr, and fdt_addr or fdtcontroladdr.
#
# The switch is three variables, as in bootloader/grub/grub.cfg: hc_good, hc_try, hc_tries. They are kept in
#   - two files hc-switch.0 and hc-switch.1 on the FAT partition that holds this script, where one of them is there. Needs
#     the commands env export, fatwrite, crc32, cmp, cp, mw, setexpr and itest, and a processor with the low byte first;
#   - else U-Boot's own environment. Needs saveenv and a redundant environment (CONFIG_SYS_REDUNDAND_ENVIRONMENT).
# The reasons that the kernel gets as honeycomb.reason=... are those of grub.cfg too.

setenv hc_script_part ${devtype} ${devnum}:${distro_bootpart}
# The slots are on that partition, or on the first one that has them. (Of a folder, ext4 says that it does not exist.)
setenv hc_part
for hc_number in ${distro_bootpart} 1 2 3 4 5 6 7 8; do
  for hc_folder in /boot ""; do
    if test -z "${hc_part}"; then
      for hc_slot in a b; do
        if test -e ${devtype} ${devnum}:${hc_number} ${hc_folder}/honeycomb/${hc_slot}/slot.env; then
          setenv hc_part ${devtype} ${devnum}:${hc_number}
          setenv hc_boot ${hc_folder}
        fi
      done
    fi
  done
done
setenv hc_fdt ${fdt_addr}
if test -z "${hc_fdt}"; then
  setenv hc_fdt ${fdtcontroladdr}
fi

# A file is laid out as a copy of a redundant environment is: checksum (4 bytes, the low one first), a serial, then the
# variables; 0x1000 bytes, whose first, second, ... are at hc_0, hc_1, ... As there, the older copy is written, and the
# one with the higher serial counts whose checksum fits: a write that was cut off leaves the other.
setenv hc_0 ${kernel_addr_r}
setexpr hc_1 ${hc_0} + 1
setexpr hc_2 ${hc_0} + 2
setexpr hc_3 ${hc_0} + 3
setexpr hc_4 ${hc_0} + 4
setexpr hc_5 ${hc_0} + 5
# What crc32 makes has its high byte first.
setexpr hc_sum_3 ${hc_0} + 2000
setexpr hc_sum_2 ${hc_0} + 2001
setexpr hc_sum_1 ${hc_0} + 2002
setexpr hc_sum_0 ${hc_0} + 2003

# Sets hc_serial, where the file ${hc_copy} is a whole one.
setenv hc_load_file 'setenv hc_serial; if load ${hc_script_part} ${hc_0} hc-switch.${hc_copy} 1000; then crc32 ${hc_5} ffb ${hc_sum_3}; if test "${filesize}" = 1000 && cmp.b ${hc_0} ${hc_sum_0} 1 && cmp.b ${hc_1} ${hc_sum_1} 1 && cmp.b ${hc_2} ${hc_sum_2} 1 && cmp.b ${hc_3} ${hc_sum_3} 1; then setexpr.b hc_serial *${hc_4}; fi; fi'
# Writes the variables over the file ${hc_copy} with the serial after ${hc_newest}, and reads it back.
setenv hc_save_file 'setenv hc_serial; mw.b ${hc_0} 0 1000; setexpr hc_newest ${hc_newest} + 1; if env export -b -s ffb ${hc_5} hc_good hc_try hc_tries; then mw.b ${hc_4} ${hc_newest} 1; crc32 ${hc_5} ffb ${hc_sum_3}; cp.b ${hc_sum_0} ${hc_0} 1; cp.b ${hc_sum_1} ${hc_1} 1; cp.b ${hc_sum_2} ${hc_2} 1; cp.b ${hc_sum_3} ${hc_3} 1; if fatwrite ${hc_script_part} ${hc_0} hc-switch.${hc_copy} 1000; then mw.b ${hc_0} 0 1000; run hc_load_file; mw.b ${hc_sum_0} ${hc_newest} 1; if cmp.b ${hc_4} ${hc_sum_0} 1; then true; else setenv hc_serial; fi; fi; fi; test -n "${hc_serial}"'

setenv hc_save_switch saveenv
if test -e ${hc_script_part} hc-switch.0 || test -e ${hc_script_part} hc-switch.1; then
  setenv hc_save_switch run hc_save_file
  setenv hc_good
  setenv hc_try
  setenv hc_tries
  setenv hc_copy 0
  run hc_load_file
  setenv hc_serial_0 ${hc_serial}
  setenv hc_copy 1
  run hc_load_file
  setenv hc_newest ${hc_serial}
  # Where both are whole: is the second less than half a turn ahead?
  if test -n "${hc_serial_0}"; then
    if test -n "${hc_newest}"; then
      setexpr hc_ahead ${hc_newest} - ${hc_serial_0}
      mw.b ${hc_sum_0} ${hc_ahead} 1
      setexpr.b hc_ahead *${hc_sum_0}
      if itest ${hc_ahead} -eq 0 || itest ${hc_ahead} -ge 80; then
        setenv hc_copy 0
      fi
    else
      setenv hc_copy 0
    fi
    if test ${hc_copy} = 0; then
      setenv hc_newest ${hc_serial_0}
    fi
  fi
  if test -n "${hc_newest}"; then
    run hc_load_file
    env import -b ${hc_5} ffb hc_good hc_try hc_tries
  else
    setenv hc_newest 0
  fi
  # What is saved goes over the other one.
  if test ${hc_copy} = 0; then
    setenv hc_copy 1
  else
    setenv hc_copy 0
  fi
fi

# Loads and starts slot ${hc_slot}; comes back only where that fails. `panic=10` comes first, so that the slot's own
# arguments can change it.
setenv hc_start 'setenv hc_kernel; setenv hc_initrd; setenv hc_args; if load ${hc_part} ${scriptaddr} ${hc_boot}/honeycomb/${hc_slot}/slot.env; then if env import -t ${scriptaddr} ${filesize} hc_title hc_kernel hc_initrd hc_args; then setenv bootargs panic=10 ${hc_args} honeycomb.reason=${hc_reason}; echo "${hc_title} (slot ${hc_slot}, ${hc_reason})"; if load ${hc_part} ${kernel_addr_r} ${hc_boot}${hc_kernel}; then run hc_start_kernel; fi; fi; fi'
setenv hc_start_kernel 'if test -z "${hc_initrd}"; then booti ${kernel_addr_r} - ${hc_fdt} || bootz ${kernel_addr_r} - ${hc_fdt}; elif load ${hc_part} ${ramdisk_addr_r} ${hc_boot}${hc_initrd}; then booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${hc_fdt} || bootz ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${hc_fdt}; fi'

setenv hc_reason confirmed
if test "${hc_good}" != a -a "${hc_good}" != b; then
  setenv hc_reason fallback-bad-env
  setenv hc_good a
  setenv hc_try -
fi
setenv hc_slot ${hc_good}
if test -z "${hc_try}"; then
  setenv hc_try -
fi

# A boot of the slot on trial is counted and saved before anything of it is read.
if test "${hc_try}" != - -a "${hc_try}" != "${hc_good}"; then
  setenv hc_left
  if test "${hc_tries}" = 1; then setenv hc_left 0; fi
  if test "${hc_tries}" = 2; then setenv hc_left 1; fi
  if test "${hc_tries}" = 3; then setenv hc_left 2; fi
  if test "${hc_tries}" = 4; then setenv hc_left 3; fi
  if test "${hc_tries}" = 5; then setenv hc_left 4; fi
  if test "${hc_tries}" = 6; then setenv hc_left 5; fi
  if test "${hc_tries}" = 7; then setenv hc_left 6; fi
  if test "${hc_tries}" = 8; then setenv hc_left 7; fi
  if test "${hc_tries}" = 9; then setenv hc_left 8; fi
  if test "${hc_try}" != a -a "${hc_try}" != b; then
    setenv hc_reason fallback-bad-env
  elif test "${hc_tries}" = 0; then
    setenv hc_reason fallback-tries-used
  elif test -z "${hc_left}"; then
    setenv hc_reason fallback-bad-env
  else
    setenv hc_tries ${hc_left}
    if run hc_save_switch; then
      setenv hc_slot ${hc_try}
      setenv hc_reason trial-${hc_left}
    else
      setenv hc_reason fallback-save-failed
    fi
  fi
fi

run hc_start
if test "${hc_slot}" != "${hc_good}"; then
  setenv hc_tries 0
  run hc_save_switch
  setenv hc_slot ${hc_good}
  setenv hc_reason fallback-load-failed
  run hc_start
fi
if test "${hc_good}" = a; then
  setenv hc_slot b
else
  setenv hc_slot a
fi
setenv hc_reason last-resort
run hc_start
echo "No slot can be loaded. Trying again in 30 seconds."
sleep 30
reset
